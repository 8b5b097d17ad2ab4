"""Table files: which ones a path stands for, how a CSV is written, its text and its types."""

from vae_anomaly.data.tables.files.faults import unreadable
from vae_anomaly.data.tables.files.headers import doubtful_header
from vae_anomaly.data.tables.files.hive import (
    partition_folders,
    partition_values,
    with_partitions,
)
from vae_anomaly.data.tables.files.listing import (
    existing,
    is_path_like,
    list_files,
    list_partitions,
)
from vae_anomaly.data.tables.files.parquet import (
    parquet_batches,
    parquet_table,
    parquet_without_rows,
)
from vae_anomaly.data.tables.files.ragged import RaggedRow, SetAside, leave_out, numbers_without
from vae_anomaly.data.tables.files.suffixes import (
    TABLE_SUFFIXES,
    is_parquet,
    is_table,
    without_suffixes,
)
from vae_anomaly.data.tables.files.text import csv_names, text_batches
from vae_anomaly.data.tables.files.typed import typed_table

__all__ = [
    "TABLE_SUFFIXES",
    "RaggedRow",
    "SetAside",
    "csv_names",
    "doubtful_header",
    "existing",
    "is_parquet",
    "is_path_like",
    "is_table",
    "leave_out",
    "list_files",
    "list_partitions",
    "numbers_without",
    "parquet_batches",
    "parquet_table",
    "parquet_without_rows",
    "partition_folders",
    "partition_values",
    "text_batches",
    "typed_table",
    "unreadable",
    "with_partitions",
    "without_suffixes",
]
