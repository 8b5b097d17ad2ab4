"""The optimizer, and the running average of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from vae_anomaly.vae.training.config import TrainingConfig


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
