"""The normal rows that a new row is compared with, and the search among them."""
