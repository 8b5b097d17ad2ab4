"""Object storage: inputs are fetched from it, outputs put into it, and all work is done on disk."""
