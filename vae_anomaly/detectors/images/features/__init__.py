"""What a network sees of an image: the fixed filters, or the user's own backbone."""
