"""Heads that were fitted before, on this disk: a history that is learned again costs one fit.

What lies here may be lost, or damaged: it is then fitted again, to the same bit.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from vae_anomaly import verdicts
from vae_anomaly.errors import StorageError
from vae_anomaly.files import replace_file, sha256_of
from vae_anomaly.storage.addresses import cache_folder
from vae_anomaly.verdicts.head import ScoreHead


class FittedHeads(MutableMapping[str, ScoreHead]):
    """Heads by what they follow from, each a file in the cache folder."""

    def __init__(self) -> None:
        self.folder = cache_folder() / "heads"

    def __getitem__(self, key: str) -> ScoreHead:
        """Read a head; a KeyError where there is none that is sound."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            digest, content = self._file(key).read_bytes().split(b"\n", 1)
            if sha256_of(content) != digest.decode():
                raise KeyError(key)
            return ScoreHead(**load(content))
        except (OSError, ValueError, TypeError, SafetensorError):
            raise KeyError(key) from None

    def __setitem__(self, key: str, head: ScoreHead) -> None:
        """Keep a head; where there is no room for it, it is fitted again another time."""
        from safetensors.numpy import save

        content = save({name: np.ascontiguousarray(array) for name, array in vars(head).items()})
        with suppress(StorageError), replace_file(self._file(key)) as temporary:
            temporary.write_bytes(sha256_of(content).encode() + b"\n" + content)

    def __delitem__(self, key: str) -> None:
        """Forget a head."""
        self._file(key).unlink()

    def __iter__(self) -> Iterator[str]:
        """Return the names of the files."""
        return (path.name for path in self.folder.iterdir())

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(1 for _ in self)

    def _file(self, key: str) -> Path:
        return self.folder / sha256_of(_code(), key)


@cache
def _code() -> str:
    """Return a digest of the code that fits: another version fits anew."""
    folder = Path(verdicts.__file__).parent
    return sha256_of(*sorted(folder.glob("*.py")))
