"""The module that a golden model was trained with (``features=``); its code is never stored."""

from __future__ import annotations

import torch
from torch import nn


class Filters(nn.Module):
    """Maps at strides 4 and 8; weights are fractions of 64, the same to the bit everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(1, 2, 7, stride=4, padding=3)
        self.coarse = nn.Conv2d(2, 1, 3, stride=2, padding=1)
        with torch.no_grad():
            for start, weights in enumerate(self.parameters()):
                steps = torch.arange(weights.numel()).reshape(weights.shape)
                weights.copy_(((37 * steps + 11 * start) % 61 - 30).float() / 64)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps of images (N, 1, S, S)."""
        fine = torch.relu(self.fine(images))
        return [fine, torch.relu(self.coarse(fine))]
