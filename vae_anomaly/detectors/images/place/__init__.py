"""Where the part lies: moved to where the others lie, turned, cut from its background."""
