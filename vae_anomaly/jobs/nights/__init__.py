"""Nights by their dates: one of many days, and all days of a range."""
