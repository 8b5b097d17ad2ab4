"""Gaussian smoothing of maps that repeat their edges."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def gaussian_kernel(sigma: float, radius: int | None = None) -> Tensor:
    """Return a Gaussian of unit sum, (2 radius + 1,), float32; sigma and radius in pixels.

    The radius is by default three sigma, rounded.
    """
    radius = max(1, round(3 * sigma)) if radius is None else radius
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    return (kernel / kernel.sum()).to(torch.float32)


def blur(maps: Tensor, sigma: float) -> Tensor:
    """Smooth each map of (..., H, W) with a Gaussian; edges are repeated.

    Done as two products with banded matrices, which for maps this small is faster than convolving.
    """
    height, width = maps.shape[-2:]
    down, along = _blur_matrix(height, sigma).to(maps), _blur_matrix(width, sigma).to(maps)
    return down @ maps @ along.T


@lru_cache(maxsize=64)
def _blur_matrix(size: int, sigma: float) -> Tensor:
    """Return the (size, size) matrix that smooths a line whose ends are repeated."""
    kernel = gaussian_kernel(sigma)
    radius = len(kernel) // 2
    matrix = torch.zeros(size, size)
    for row in range(size):
        for k, weight in enumerate(kernel.tolist()):
            matrix[row, min(max(row + k - radius, 0), size - 1)] += weight
    return matrix
