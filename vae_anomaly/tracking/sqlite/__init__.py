"""The store of a folder: how its address is written, and what happens when the folder moves."""
