"""What a file's name says: a table, how it is packed, a companion of tables, or other data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

PARQUET: Final = (".parquet", ".pq")
TEXT: Final = (".csv", ".tsv", ".txt")
TABLE_SUFFIXES: Final = (*PARQUET, *TEXT)
PACKED: Final = (".gz", ".bz2", ".xz", ".zst", ".zip")
READABLE: Final = (
    "Tables are .parquet, .pq, .csv, .tsv and .txt; text also packed, as .csv.gz (.bz2, .xz, "
    ".zst, .zip)"
)

_SHEETS: Final = (".xls", ".xlsx", ".xlsm", ".xlsb", ".ods", ".tab", ".psv", ".dat", ".data")
_DOCUMENTS: Final = (".json", ".jsonl", ".ndjson", ".xml")
_COLUMNS: Final = (".feather", ".arrow", ".ipc", ".orc", ".avro", ".h5", ".hdf5")
_STATISTICS: Final = (".npy", ".npz", ".mat", ".pkl", ".pickle", ".rds", ".rdata", ".sas7bdat",
                      ".sav", ".dta")  # fmt: skip
_DATABASES: Final = (".db", ".sqlite", ".duckdb")
_ARCHIVES: Final = (".7z", ".rar", ".tar", ".tgz", ".lz4", ".snappy", ".lzo", ".br", ".z")
_OTHER_DATA: Final = {
    *_SHEETS, *_DOCUMENTS, *_COLUMNS, *_STATISTICS, *_DATABASES, *_ARCHIVES,
}  # fmt: skip
_UNFINISHED: Final = (
    ".bak", ".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp", ".lock", ".old",
)  # fmt: skip
_COMPANION: Final = re.compile(
    r"[._].*|~\$.*|readme.*|licen[cs]e.*|changelog.*|requirements.*\.txt|thumbs\.db|desktop\.ini|"
    r".*\.(crc|crc32|md|rst|md5|sha1|sha256|sha512|asc|sig|done|ok|ready|schema\.json)",
    re.IGNORECASE | re.DOTALL,
)

FileRole = Literal["table", "companion", "data", "other"]


def is_parquet(path: Path) -> bool:
    """Tell a parquet file from text, by its name."""
    return path.suffix.lower() in PARQUET


def packing_of(path: Path) -> str:
    """Return how text is packed, such as ".gz"; "" where it is not."""
    suffix = path.suffix.lower()
    return suffix if suffix in PACKED else ""


def is_table(path: Path) -> bool:
    """Tell a table by its name: parquet, or text, packed or not."""
    text = path.with_suffix("") if packing_of(path) else path
    return is_parquet(path) or text.suffix.lower() in TEXT


def without_suffixes(path: Path) -> Path:
    """Return the path of a table without what says that it is one: day.csv.gz is day."""
    text = path.with_suffix("") if packing_of(path) and is_table(path) else path
    return text.with_suffix("")


def role_of(path: Path) -> FileRole:
    """Tell what a file in a folder of tables is for, by its name.

    Returns
    -------
    {"table", "companion", "data", "other"}
        "companion" is what stands beside tables and holds no rows: _SUCCESS, checksums, a README,
        hidden files. "data" would be rows in a form that is not read here. "other" is unknown.
    """
    name = path.name.lower()
    if _COMPANION.fullmatch(name):
        return "companion"
    if is_table(path):
        return "table"
    if path.suffix.lower() in _UNFINISHED or name.endswith("~"):
        return "other"
    named = any(suffix in TABLE_SUFFIXES for suffix in Path(name).suffixes)
    of_spark = name.startswith("part-") and not path.suffix
    packed = packing_of(path) or path.suffix.lower() in _OTHER_DATA
    return "data" if packed or named or of_spark else "other"
