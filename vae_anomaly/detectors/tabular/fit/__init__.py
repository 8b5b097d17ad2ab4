"""What happens once, when a table detector is fitted."""
