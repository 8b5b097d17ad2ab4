"""The table wing: rows in, p-values, flags and reasons out; `detector` is its face."""
