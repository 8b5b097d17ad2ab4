"""Files to typed tables: reading, schemas, samples, labels, histories of entities."""
