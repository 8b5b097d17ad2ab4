"""Read tables and pictures: schemas, decoding, folders, checks and generated examples."""
