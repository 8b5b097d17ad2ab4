"""The image wing: images in, p-values, heatmaps and regions out; `detector` is its face."""
