"""Look at the last nights of output folders together, and raise an alarm where it was asked for."""
