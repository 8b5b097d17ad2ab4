"""Where partitions are scored. An engine decides nothing else."""
