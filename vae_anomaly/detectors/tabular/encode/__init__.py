"""From typed columns to the numbers that a network reads."""
