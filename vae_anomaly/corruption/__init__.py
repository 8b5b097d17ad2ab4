"""What training adds to the input, and only to the input: the target stays clean.

A corruption is called as ``corruption(batch, generator) -> batch`` and returns a new tensor.
Scoring never corrupts anything.
"""
