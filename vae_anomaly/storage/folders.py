"""A few files that are written as one folder, here or in an object store."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from vae_anomaly.errors import ConfigError
from vae_anomaly.storage.addresses import address_of, is_remote, path_of_file
from vae_anomaly.storage.stores import Store


def write_folder(write: Callable[[Path], Iterable[Path]], out: str) -> list[str]:
    """Write files into a folder; of one in an object store, here first, then put there.

    Parameters
    ----------
    write : callable
        Writes files into a folder and returns their paths.
    out : str
        A path, or the address of a folder.

    Returns
    -------
    list of str
        Paths or addresses of the files.

    Raises
    ------
    ConfigError
        If it is no folder in a bucket.
    ObjectStoreError, StorageError
        As `vae_anomaly.storage.answers.error_of`.
    """
    refuse_no_folder(out)
    if not is_remote(out):
        return [str(path) for path in write(Path(path_of_file(out) or out))]
    address = address_of(out)
    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        paths = [path.relative_to(scratch).as_posix() for path in write(Path(scratch))]
        names = {f"{address.inside}/{path}": Path(scratch) / path for path in paths}
        for _ in Store(address).put(names):
            pass
    return [f"{address.scheme}://{name}" for name in names]


def refuse_no_folder(out: str) -> None:
    """Refuse an address that is no folder in a bucket, before long work: a ConfigError."""
    if not is_remote(out):
        return
    address = address_of(out)
    if address.is_pattern or "/" not in address.inside:
        raise ConfigError(
            f"{address} is no folder to write to. Name one in a bucket, such as "
            f"{address.scheme}://{address.bucket}/evaluation."
        )
