"""What each training step sees, moves by and reports: batches, optimizer, averages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vae_anomaly.errors import DataError, NotEnoughDataError

if TYPE_CHECKING:
    from vae_anomaly.vae.training.config import TrainingConfig


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
    """Sums and counts, kept on the device and read once per evaluation.

    Parameters
    ----------
    names : tuple of str
        What the entries of each added tensor mean.
    """

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
            kept = theirs.detach().clone()
            theirs.copy_(mine)
            mine.copy_(kept)


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
