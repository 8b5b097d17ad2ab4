"""Large images as overlapping tiles: the grid, its networks and their training."""
