"""What a run counts of its items to tell whether they moved, and what it says of it."""
