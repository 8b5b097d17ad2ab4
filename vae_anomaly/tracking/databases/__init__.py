"""Databases that a store lies in: their addresses, their first use, and folders that have moved."""
