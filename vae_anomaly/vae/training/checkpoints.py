"""A training run on disk: one safetensors file, replaced as a whole.

Tensors are stored under ``model.``, ``optimizer.``, ``average.``, ``best.`` and ``rng.``; counters
and history as JSON in the file's own header. One file, so that weights and optimizer state can
never come from two different moments, and no pickle.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vae_anomaly.errors import ModelRefusedError, StorageError

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "vae-anomaly-checkpoint/1"


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a training run needs to go on.

    Attributes
    ----------
    tensors : dict of str to Tensor
    facts : dict
        JSON-able.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors under a prefix, without the prefix."""
        start = f"{prefix}."
        return {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Replace the file at `path` in one step: a reader sees the old state or the new one.

    Raises
    ------
    StorageError
        If the file cannot be written; an earlier checkpoint stays as it was.
    """
    header = {"format": FORMAT, "facts": json.dumps(checkpoint.facts)}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in checkpoint.tensors.items()}
    content = save(tensors, metadata=header)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as err:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise StorageError(
            f"The checkpoint {path} cannot be written: {err}. Free some space or choose a folder "
            "that can be written to."
        ) from err


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU.

    Raises
    ------
    ModelRefusedError
        If the file is damaged or is no checkpoint of ours.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping: it has no iterator
    except (SafetensorError, OSError) as err:
        raise ModelRefusedError(
            f"The checkpoint {path} cannot be read: {err}. Delete it to start training anew."
        ) from err
    if header.get("format") != FORMAT:
        raise ModelRefusedError(
            f"{path} is not a training checkpoint of this version: its format is "
            f"{header.get('format')!r}, {FORMAT!r} is needed. Delete it to start training anew."
        )
    return Checkpoint(tensors, json.loads(header["facts"]))
