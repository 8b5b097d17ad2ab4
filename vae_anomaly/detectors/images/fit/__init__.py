"""What happens once, when an image detector is fitted."""
