"""A training run on disk: one safetensors file, replaced as a whole.

Tensors are stored under ``model.``, ``optimizer.``, ``average.``, ``best.`` and ``rng.``; counters
and history as JSON in the file's own header. One file, so that weights and optimizer state can
never come from two different moments, and no pickle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.files import replace_file
from vae_anomaly.state import under

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
        return under(prefix, self.tensors)


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Replace the file at `path` in one step: a reader sees the old state or the new one.

    Raises
    ------
    StorageError
        If the file cannot be written; an earlier checkpoint stays as it was.
    """
    header = {"format": FORMAT, "facts": json.dumps(checkpoint.facts)}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in checkpoint.tensors.items()}
    remedy = "Free some space or choose a folder that can be written to."
    with replace_file(path, remedy) as temporary:
        temporary.write_bytes(save(tensors, metadata=header))


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
