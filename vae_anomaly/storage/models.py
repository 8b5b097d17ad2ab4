"""A model folder in an object store: its list of digests, without which none is read, goes last."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from vae_anomaly.errors import ConfigError
from vae_anomaly.files import reach
from vae_anomaly.storage.addresses import Address, address_of, is_remote
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.storage.stores import Store


def put_model(save: Callable[[Path], object], text: str, names: Sequence[str]) -> str:
    """Save a model here, put it into a store, and return its address.

    Parameters
    ----------
    save : callable
        Writes the model's folder.
    text : str
        The address. A model that lies there is replaced: first its list of digests goes, then files
        are put, then the new list. Who reads meanwhile, or after a kill, is refused.
    names : sequence of str
        Names of a model's files, the list of digests last.

    Raises
    ------
    ConfigError
        If something else lies there.
    ObjectStoreError, StorageError
        As `vae_anomaly.storage.answers.error_of`.
    """
    store, there = _looked_into(text, names)
    last = f"{store.address.inside}/{names[-1]}"
    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        folder = Path(scratch) / "model"
        save(folder)
        files = {f"{store.address.inside}/{path.name}": path for path in folder.iterdir()}
        store.remove([last] if last in there else [])
        for some in ({n: p for n, p in files.items() if n != last}, {last: files[last]}):
            for _ in store.put(some):
                reach("put")
    return str(store.address)


def save_model(
    save: Callable[[str | Path], Path], folder: str | Path, names: Sequence[str]
) -> Path | str:
    """Save a model, and return where: the folder, or its address in an object store."""
    return put_model(save, str(folder), names) if is_remote(folder) else save(on_disk(folder))


def refuse_other_folder(text: str, names: Sequence[str]) -> None:
    """Refuse an address where no model can be put, one of files of these names: a ConfigError."""
    _looked_into(text, names)


def _looked_into(text: str, names: Sequence[str]) -> tuple[Store, list[str]]:
    """Open the store of a model, and list what lies at its address: of a model, or nothing."""
    address = address_of(text)
    _refuse_pattern(address)
    store = Store(address)
    there = [one.name for one in store.find(address.inside)]
    others = set(there) - {f"{address.inside}/{name}" for name in names}
    if others:
        raise ConfigError(
            f"{address} holds something else than a model ({min(others)}), and is not written "
            "over. Choose a new or empty folder for the model."
        )
    return store, there


def _refuse_pattern(address: Address) -> None:
    if address.is_pattern or "/" not in address.inside:
        raise ConfigError(
            f"{address} is no folder for a model. Name one in a bucket, such as "
            f"{address.scheme}://{address.bucket}/model."
        )
