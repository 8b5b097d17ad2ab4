"""What each training step sees, moves by, reports and leaves: batches, optimizer, checkpoint.

A checkpoint is one safetensors file, replaced as a whole, so that weights and optimizer state can
never come from two different moments; and no pickle. Tensors are stored under ``model.``,
``optimizer.``, ``average.``, ``best.`` and ``rng.``; counters and history as JSON in its header.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vae_anomaly.errors import DataError, ModelRefusedError, NotEnoughDataError
from vae_anomaly.files import replace_file
from vae_anomaly.state import under
from vae_anomaly.words import reason_of

if TYPE_CHECKING:
    from vae_anomaly.vae.training.config import TrainingConfig

_FORMAT = "vae-anomaly-checkpoint/1"


@dataclass(frozen=True)
class Samples:
    """Inputs, targets and extras that belong together, one row per sample."""

    data: Tensor
    target: Tensor | None
    extras: dict[str, Tensor]

    def __post_init__(self) -> None:
        n = len(self.data)
        if n == 0:
            raise NotEnoughDataError("Training needs at least 1 sample; got 0. Check the input.")
        aligned = self.extras if self.target is None else {"target": self.target, **self.extras}
        for name, value in aligned.items():
            if len(value) != n:
                raise DataError(
                    f"{name!r} must have one row per sample ({n}); got {len(value)}. "
                    "Pass tensors that are aligned with the data."
                )

    def take(self, rows: Tensor | slice, device: torch.device) -> Samples:
        """Return some rows, on a device."""
        target = self.target if self.target is None else self.target[rows].to(device)
        extras = {name: value[rows].to(device) for name, value in self.extras.items()}
        return Samples(self.data[rows].to(device), target, extras)


class BatchStream:
    """Which samples each step sees: a pure function of seed and step.

    Samples are shuffled once per epoch and read as one endless stream, so that every batch is
    full and every sample is seen equally often.
    """

    def __init__(self, n_samples: int, batch_size: int, random_state: int) -> None:
        self.n_samples = n_samples
        self.batch_size = min(batch_size, n_samples)
        self.random_state = random_state
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def _shuffled(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            seed = (self.random_state * 1_000_003 + epoch) % 2**63
            generator = torch.Generator().manual_seed(seed)
            self._order = torch.randperm(self.n_samples, generator=generator)
            self._epoch = epoch
        return self._order

    def indices(self, step: int) -> Tensor:
        """Return the sample numbers of a step, of shape (batch_size,)."""
        parts, start = [], step * self.batch_size
        stop = start + self.batch_size
        while start < stop:
            epoch, offset = divmod(start, self.n_samples)
            part = self._shuffled(epoch)[offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return torch.cat(parts)


class RunningMeans:
    """Sums and counts of named terms, kept on the device and read once per evaluation."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.sums: Tensor | None = None
        self.count = 0

    def add(self, terms: Tensor) -> None:
        """Add the terms of one step, of shape (len(names),)."""
        self.sums = terms.double() if self.sums is None else self.sums + terms
        self.count += 1

    def pop(self) -> dict[str, float]:
        """Return the means and start again from zero."""
        values = [] if self.sums is None else (self.sums / self.count).tolist()
        self.sums, self.count = None, 0
        return dict(zip(self.names, values, strict=True))


class WeightAverage:
    """Exponential moving average of a model's parameters."""

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self.decay = decay
        self.values = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self, parameters: Sequence[Tensor], step: int) -> None:
        """Move towards the current weights; faster during the first steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, list(parameters), 1 - decay)

    @torch.no_grad()
    def swap(self, parameters: Sequence[Tensor]) -> None:
        """Exchange average and current weights; calling twice restores both."""
        for mine, theirs in zip(self.values, parameters, strict=True):
            copy = theirs.detach().clone()
            theirs.copy_(mine)
            mine.copy_(copy)


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Build AdamW that decays weights, but no bias, no scale and nothing of likelihood or prior."""
    decayed: list[Tensor] = []
    free: list[Tensor] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_weight = name.endswith("weight") and not name.startswith(("likelihood", "prior"))
            (decayed if is_weight else free).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr, fused=True)


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a training run needs to go on: tensors, and facts that are JSON-able."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors under a prefix, without the prefix."""
        return under(prefix, self.tensors)


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Replace the file at `path` in one step: a reader sees the old state or the new one."""
    header = {"format": _FORMAT, "facts": json.dumps(checkpoint.facts)}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in checkpoint.tensors.items()}
    remedy = "Free some space or choose a folder that can be written to."
    with replace_file(path, remedy) as temporary:
        temporary.write_bytes(save(tensors, metadata=header))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU; ModelRefusedError if it is damaged or none of ours."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping: it has no iterator
    except (SafetensorError, OSError) as err:
        raise ModelRefusedError(
            f"The checkpoint {path} cannot be read: {reason_of(err)}. Delete it to start "
            "training anew."
        ) from err
    if header.get("format") != _FORMAT:
        raise ModelRefusedError(
            f"{path} is not a training checkpoint of this version: its format is "
            f"{header.get('format')!r}, {_FORMAT!r} is needed. Delete it to start training anew."
        )
    return Checkpoint(tensors, json.loads(header["facts"]))
