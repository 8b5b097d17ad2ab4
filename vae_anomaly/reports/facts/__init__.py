"""What pages show, as plain values: gathered by `jobs`, drawn by `reports`, kept as JSON."""
