"""The page of a night: its facts, gathered from what the run saved."""
