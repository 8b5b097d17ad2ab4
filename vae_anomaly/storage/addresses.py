"""Which paths are addresses of an object store, and where their copies lie on this machine.

A copy lies below the cache folder under the very name that it has in the store::

    s3://parts/night/cam1/001.png
    ~/.cache/vae-anomaly/storage/inputs/4711-x1y2z3/s3/parts/night/cam1/001.png

so that what names of files and folders tell is told by the copy as well, and so that the address of
a copy, which is what people and results know, follows from its path alone.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from vae_anomaly.errors import ConfigError, DataError, StorageError
from vae_anomaly.files import in_home, leads_out
from vae_anomaly.names import MAX_NAME_BYTES

DRIVERS: Final = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs",
    "az": "adlfs", "memory": None,
}  # fmt: skip
"""The stores that are known, by the beginning of their addresses, with the package of each."""
_SPARE: Final = 0.02  # of a disk, that is left free
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_MAGIC: Final = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Address:
    """An address of an object store: ``scheme://inside``, where ``inside`` is bucket and key."""

    scheme: str
    inside: str

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.scheme}://{self.inside}"

    @property
    def bucket(self) -> str:
        """The first part, a bucket or container."""
        return self.inside.partition("/")[0]

    @property
    def fixed(self) -> str:
        """Of a pattern the folder above its first sign; else all that is inside."""
        match = _MAGIC.search(self.inside)
        return self.inside if match is None else self.inside[: match.start()].rpartition("/")[0]

    @property
    def is_pattern(self) -> bool:
        """Whether it is a pattern such as ``s3://bucket/days/*.parquet``."""
        return self.fixed != self.inside

    def under(self, folder: Path) -> Path:
        """Return where its copy lies below a folder of copies."""
        return folder / self.scheme / self.inside


def is_remote(path: str | Path) -> bool:
    """Tell whether a path is the address of an object store that is known.

    Examples
    --------
    >>> is_remote("s3://parts/night"), is_remote("file:///night"), is_remote("night/s3")
    (True, False, False)
    """
    match = _SCHEME.match(str(path))
    return match is not None and match[1].lower() in DRIVERS


def address_of(text: str | Path) -> Address:
    """Read an address.

    Raises
    ------
    ConfigError
        If it names no bucket, or holds what no address of a folder or file does.
    """
    scheme, _, inside = str(text).partition("://")
    inside = re.sub("/+$", "", inside)
    steps = inside.split("/")
    if not steps[0] or "" in steps or {".", ".."} & set(steps) or "\0" in inside:
        raise ConfigError(
            f"{text} is no address of a file or folder. Write {scheme}://BUCKET/FOLDER, without "
            "empty names and dots."
        )
    if "::" in inside or _MAGIC.search(steps[0]) or re.match("[^/]*:[^/]*@", inside):
        raise ConfigError(
            f"{scheme}://{inside.rpartition('@')[2]}: the bucket is no plain name. Write "
            f"{scheme}://BUCKET/FOLDER; credentials are read from the environment."
        )
    return Address(scheme.lower(), inside)


def path_of_file(path: str | Path) -> Path | None:
    """Return the path of a ``file://`` address; None for any other.

    Examples
    --------
    >>> path_of_file("file:///data/my%20night").as_posix()
    '/data/my night'
    """
    if not str(path).lower().startswith("file://"):
        return None
    parts = urlsplit(str(path), allow_fragments=False)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise ConfigError(f"{path} names another machine. Write file:///PATH, or the path alone.")
    return Path(unquote(parts.path))


def copy_path(folder: Path, scheme: str, name: str) -> Path:
    """Return where the copy of an object goes; refuse a name that would lead elsewhere."""
    steps = name.split("/")
    if leads_out(folder, name) or "" in steps or "." in steps:
        raise DataError(
            f"{scheme}://{name}: a name with empty parts or dots fits no disk. Rename that object."
        )
    if any(len(os.fsencode(step)) > MAX_NAME_BYTES for step in steps):
        raise DataError(
            f"{scheme}://{name}: a part of the name is longer than {MAX_NAME_BYTES} bytes, which "
            "no disk takes. Rename that object."
        )
    return folder / scheme / name


# ------------------------------------------------------------------ on this machine


def cache_folder() -> Path:
    """Return where copies are kept: ``VAE_ANOMALY_CACHE``, or the user's cache folder."""
    given = os.environ.get("VAE_ANOMALY_CACHE")
    if given:
        return in_home(given).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return in_home(base) / "vae-anomaly"


def copies_folder() -> Path:
    """Return where the copies of object stores lie, those of each purpose in a folder of it."""
    return cache_folder() / "storage"


def require_room(folder: Path, n_bytes: int, address: Address) -> None:
    """Refuse to fetch more than the disk of a folder has room for: a StorageError."""
    folder.mkdir(parents=True, exist_ok=True)
    usage = shutil.disk_usage(folder)
    if n_bytes > max(usage.free - _SPARE * usage.total, 0) and n_bytes:
        raise StorageError(
            f"{address} holds {n_bytes / 1e9:,.1f} GB to be copied, and the disk of {folder} has "
            f"{usage.free / 1e9:,.1f} GB free. Set VAE_ANOMALY_CACHE to a folder that has room, or "
            "give a part of it."
        )


def with_addresses(text: str) -> str:
    """Return a text that names copies with their addresses, whichever folder they lie in here.

    Examples
    --------
    >>> with_addresses(f"{copies_folder()}/inputs/4711-x1/s3/parts/a.csv is empty.")
    's3://parts/a.csv is empty.'
    """
    top = os.path.join(copies_folder(), "")  # noqa: PTH118 - with a separator at its end
    if top not in text:
        return text
    scheme = "|".join(DRIVERS)
    return re.sub(rf"{re.escape(top)}[^/\\]+[/\\][^/\\]+[/\\]({scheme})[/\\]", r"\1://", text)
