"""Learning from reviewers: a second stage behind a detector, which it does not change."""
