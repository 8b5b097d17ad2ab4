"""What a server answers, how long it is waited for, and what is asked of it."""
