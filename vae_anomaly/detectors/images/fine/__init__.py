"""Spots, lines and tints of a few pixels, compared with those of good images of their material."""
