"""Facts of what was saved, gathered for the pages that people look at."""
