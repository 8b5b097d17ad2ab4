"""Open a text file as a stream of bytes, unpacked while it is read: never whole, never to disk."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa

from vae_anomaly.data.tables.files.faults import unreadable
from vae_anomaly.data.tables.files.suffixes import is_table, packing_of
from vae_anomaly.errors import DataError

_FAULTS: Final = (
    OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError,
    NotImplementedError, pa.ArrowException,
)  # fmt: skip
_MAGIC: Final = {
    b"\x1f\x8b": "gzip (.gz)",
    b"BZh": "bzip2 (.bz2)",
    b"\xfd7zXZ": "xz (.xz)",
    b"\x28\xb5\x2f\xfd": "zstandard (.zst)",
    b"PK\x03\x04": "a zip archive or an Excel sheet (.zip, .xlsx)",
    b"PAR1": "parquet (.parquet)",
    b"\xd0\xcf\x11\xe0": "an old Excel sheet (.xls)",
    b'{"': "JSON (.json)",
    b'[{"': "JSON (.json)",
    b"<!DOCTYPE": "a web page (.html)",
    b"<html": "a web page (.html)",
    b"<?xml": "XML (.xml)",
}


@contextmanager
def open_text(path: Path) -> Iterator[IO[bytes]]:
    """Open a text file, packed or not, for reading its bytes.

    Raises `DataError` if it is damaged, is packed otherwise than its name says, or is an archive
    that does not hold one table; names the file.
    """
    try:
        with _opened(path) as file:
            yield file
    except _FAULTS as err:
        raise unreadable(path, err) from None


def refuse_disguised(path: Path, head: bytes) -> None:
    """Refuse a file whose first bytes say that it is no text."""
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if kind is not None:
        raise DataError(
            f"{path} is no CSV: its content is {kind}. Rename it so that its name says so, or "
            "export it as CSV."
        )


def _opened(path: Path) -> Any:
    packing = packing_of(path)
    if packing == ".zip":
        return _only_member(path)
    if packing == ".zst":
        return pa.input_stream(str(path), compression="zstd")
    opener: Any = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(packing, open)
    return opener(path, "rb")


@contextmanager
def _only_member(path: Path) -> Iterator[IO[bytes]]:
    """Open the one table that an archive holds."""
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if not n.endswith("/") and not _is_hidden(Path(n))]
        if len(names) != 1 or not is_table(Path(names[0])) or packing_of(Path(names[0])):
            raise DataError(
                f"{path} holds {', '.join(names[:5]) or 'nothing'}. An archive is read where it "
                "holds one .csv, .tsv or .txt and nothing else: unpack it."
            )
        with archive.open(names[0]) as member:
            yield member


def _is_hidden(name: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.parts)
