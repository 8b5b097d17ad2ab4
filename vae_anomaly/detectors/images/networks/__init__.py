"""From feature maps or pixels to what the VAEs cannot explain."""
