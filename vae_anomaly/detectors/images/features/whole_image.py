"""Numbers of the whole image that no map holds, because maps leave out exposure and slow shading.

==================  ==========================================================================
numbers             meaning
==================  ==========================================================================
11, or 13 in        mean and sd of log brightness, nine log energies; in colour two mean
colour              chroma differences: what the bank knows anyway
2 `asymmetry`       are bright or dark details the few, at two scales: an inverted image has the
                    other sign
2 `still_lines`     share of the rows, and of the columns, that repeat the one before: blank or
                    half-read frames
256 `layout`        log brightness in 16 x 16 blocks around its mean: where it is bright
==================  ==========================================================================

New numbers stand behind those of earlier versions: a model that knows fewer reads the first.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

N_FURTHER: Final = 4
"""Numbers behind those that the bank knows anyway: asymmetry and still lines, two each."""

N_LAYOUT: Final = 256
"""Numbers of the layout; they are the last."""

STILL_UNIT: Final = 0.05
"""What a share of still lines of 1 is written as: so 2 % of them is the least spread that counts,
for the spread of every number is taken for 0.001 at least."""

_BLOCKS: Final = 16
_STILL: Final = 1e-6  # mean squared difference, in log brightness, of lines that are the same
_NO_DETAIL: Final = 1e-4  # variance, in log brightness, that is no detail


def asymmetry(detail: Tensor) -> Tensor:
    """Return in (-1, 1) how lopsided details (N, 1, H, W) are, shape (N, 1).

    Details are log brightness around its surroundings, 0 on average. Negative where few are bright
    and many a little dark, as with bright specks; positive where dark ones are the few. Bounded, so
    that one speck is not much.
    """
    spread = torch.sqrt(detail.square().mean((2, 3), keepdim=True) + _NO_DETAIL)
    return torch.tanh(detail / spread).mean((2, 3))


def still_lines(log: Tensor) -> Tensor:
    """Return the shares of rows and columns of (N, 1, H, W) that repeat the last one, (N, 2).

    In `STILL_UNIT`.
    """
    down = (log[..., 1:, :] - log[..., :-1, :]).square().mean((1, 3))
    across = (log[..., 1:] - log[..., :-1]).square().mean((1, 2))
    shares = [torch.exp(-change / _STILL).mean(1) for change in (down, across)]
    return STILL_UNIT * torch.stack(shares, 1)


def layout(log: Tensor) -> Tensor:
    """Return square log brightness (N, 1, S, S) in blocks around its mean, (N, `N_LAYOUT`)."""
    pool = _block_matrix(log.shape[-1]).to(log)
    blocks = (pool @ log @ pool.T).flatten(1)
    return blocks - blocks.mean(1, keepdim=True)


@lru_cache(maxsize=16)
def _block_matrix(size: int) -> Tensor:
    """Return what averages a line over blocks of equal length, (blocks, size), exact areas."""
    length = size / _BLOCKS
    old, new = torch.arange(size), torch.arange(_BLOCKS)[:, None]
    right, left = torch.minimum(old + 1.0, (new + 1) * length), torch.maximum(old, new * length)
    return ((right - left).clamp(min=0.0) / length).float()
