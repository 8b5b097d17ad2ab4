"""Commands of the night and of the morning after: scoring, and the pages to look at."""
