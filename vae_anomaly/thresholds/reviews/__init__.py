"""What reviewers said of flagged items, as a sample that flags selected."""
