"""What a run keeps of its items to learn from, and how it ranks them by what was learned."""
