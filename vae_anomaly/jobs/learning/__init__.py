"""Learning from reviewers: from nights and verdicts that are stored to a second stage in force."""
