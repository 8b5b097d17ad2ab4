"""What reviewers said, and what nights keep to learn from it."""
