"""Images at three sizes, and what small filters say of every pixel: computed once, read by all.

::

    image ─ log(x + 0.05) ─┬─ size ────┬─ dx, dy, dog at each pixel ─┬─ mean squares: the bank
                           ├─ half ────┤                             └─ extremes: fine detail
                           └─ quarter ─┘

Filters of one size are a single ``conv2d`` that answers for blocks of pixels. A line of the image,
cut into pieces, *is* an image of fewer and deeper columns (channels last), so no pixel is moved;
and what is to be known of a cell, a mean or an extreme, lies side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.detectors.images.features.smoothing import blur, gaussian_kernel

CELL: Final = 8
"""Side of a grid cell in pixels of the resized image."""

_RADIUS: Final = 4
_SIGMA: Final = 0.8
_FINE: Final = 1.5  # surroundings of a fine detail, pixels of the half-size image
_BLOCKS: Final = (4, 4, 2)  # side of a block of each octave, where a cell has 8, 4 and 2 pixels
_REC601: Final = (0.299, 0.587, 0.114)

_FEW: Final = 4  # images at a time on the processor: what is said of more fits in no cache

Three = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Octaves:
    """A batch of images as filters see it.

    Attributes
    ----------
    log : three of Tensor of shape (N, 1, H, W), float32
        Log brightness; at half and at a quarter of the size the means of it.
    responses : three of Tensor of shape (N, h, w, 3, b**2), float32
        Of ``dx, dy, dog`` at the b x b pixels of each block; contiguous.
    detail : Tensor of shape (N, 1, S / 2, S / 2), float32
        Log brightness at half the size around its surroundings.
    chroma : Tensor of shape (N, 2, G, G), float32, optional
        `chroma_differences` of colour images.
    """

    log: Three
    responses: Three
    detail: Tensor
    chroma: Tensor | None


class FoldedFilters(nn.Module):
    """Filters as one convolution that answers for blocks of pixels.

    Parameters
    ----------
    kernels : Tensor of shape (F, 2 r + 1, 2 r + 1)
        Correlated with images whose edges are repeated.
    block : int, pixels
        Side of a block; it divides 2 r, and height and width of the images.
    """

    kernel: Tensor

    def __init__(self, kernels: Tensor, block: int) -> None:
        super().__init__()
        self.n_filters, self.radius, self.block = len(kernels), kernels.shape[-1] // 2, block
        self.register_buffer("kernel", _folded(kernels, block), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the responses to (N, 1, H, W) by block, (N, h, w, F, block**2)."""
        padded = functional.pad(image, (self.radius,) * 4, mode="replicate")
        n, _, height, _ = padded.shape
        pieces = padded.view(n, height, -1, self.block).permute(0, 3, 1, 2)
        response = functional.conv2d(pieces, self.kernel, stride=(self.block, 1))
        by_block = response.permute(0, 2, 3, 1)
        return by_block.reshape(*by_block.shape[:3], self.n_filters, -1)


class OctaveFilters(nn.Module):
    """The log brightness of images at three sizes, and three filters at each.

    ``offset`` is added to intensities in [0, 1] before the logarithm.
    """

    def __init__(self, offset: float = 0.05) -> None:
        super().__init__()
        self.offset = offset
        self.filters = nn.ModuleList(FoldedFilters(octave_kernels(), block) for block in _BLOCKS)

    def forward(self, images: Tensor) -> Octaves:
        """Look at images (N, 1 or 3, S, S), float32 in [0, 1]."""
        log = self.log(images)
        first, second, third = (
            filters(part) for filters, part in zip(self.filters, log, strict=True)
        )
        chroma = chroma_differences(images, self.offset) if images.shape[1] == 3 else None
        return Octaves(log, (first, second, third), log[1] - blur(log[1], _FINE), chroma)

    def log(self, images: Tensor) -> Three:
        """Return log brightness (N, 1, S, S), and at half and a quarter of the size."""
        log = torch.log(luminance(images) + self.offset)
        half = halved(log)
        return log, half, halved(half)


def goes_whole(batch: Tensor) -> bool:
    """Say whether a batch is best taken whole: on a GPU, and in a graph that is drawn."""
    return batch.device.type != "cpu" or torch.compiler.is_compiling()


def few_at_once(batch: Tensor) -> tuple[Tensor, ...]:
    """Return a batch in parts of few, unless it goes whole."""
    return (batch,) if goes_whole(batch) else torch.split(batch, _FEW)


def of_four(parts: Tensor, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Join the 2 x 2 blocks of each cell of (N, h, w, ...), (N, h / 2, w / 2, ...)."""
    rows = join(parts[:, ::2], parts[:, 1::2])
    return join(rows[:, :, ::2], rows[:, :, 1::2])


def luminance(images: Tensor) -> Tensor:
    """Return the brightness (N, 1, H, W) of grey or RGB images (ITU-R BT.601 weights)."""
    if images.shape[1] == 1:
        return images
    red, green, blue = (images[:, c : c + 1] for c in range(3))
    with_green = torch.add(red * _REC601[0], green, alpha=_REC601[1])
    return torch.add(with_green, blue, alpha=_REC601[2])


def halved(image: Tensor) -> Tensor:
    """Return the means of blocks of 2 x 2 pixels, at a fifth of the time of `avg_pool2d`."""
    rows = image[..., ::2, :] + image[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) * 0.25


def chroma_differences(images: Tensor, offset: float) -> Tensor:
    """Return log red - log green and log blue - log green of each cell, (N, 2, G, G).

    Of colour images (N, 3, S, S). The logarithm of a product of eight pixels is the sum of eight,
    at an eighth of the cost.
    """
    n, channels, _, side = images.shape
    rows = (images + offset).view(n, channels, -1, CELL, side)
    for half in (CELL // 2, CELL // 4, 1):
        rows = rows[:, :, :, :half] * rows[:, :, :, half : 2 * half]
    log = torch.log(rows).view(n, channels, side // CELL, -1, CELL).mean(4) / CELL
    return torch.cat((log[:, 0:1] - log[:, 1:2], log[:, 2:3] - log[:, 1:2]), 1)


def octave_kernels() -> Tensor:
    """Return the three 9 x 9 kernels ``dx, dy, dog`` of one octave, shape (3, 9, 9), float32."""
    narrow = gaussian_kernel(_SIGMA, _RADIUS).double()
    wide = gaussian_kernel(2 * _SIGMA, _RADIUS).double()
    slope = torch.zeros_like(narrow)
    slope[1:] += 0.5 * narrow[:-1]
    slope[:-1] -= 0.5 * narrow[1:]
    slope = slope * _SIGMA  # as a correlation: positive where brightness rises
    dx, dy = torch.outer(narrow, slope), torch.outer(slope, narrow)
    dog = torch.outer(narrow, narrow) - torch.outer(wide, wide)
    return torch.stack((dx, dy, dog)).to(torch.float32)


def _folded(kernels: Tensor, block: int) -> Tensor:
    """Return the kernel (F * block**2, block, k, l), channels last, of a block.

    Output channel ``(f * block + i) * block + j`` is filter f at pixel (i, j) of the block, input
    channel c the pixel of that number in a piece of a line.
    """
    width, n_filters = kernels.shape[-1], len(kernels)
    seen = width - 1 + block  # pixels along both sides that a block depends on
    folded = kernels.new_zeros(n_filters, block, block, seen, seen)
    for i in range(block):
        for j in range(block):
            folded[:, i, j, i : i + width, j : j + width] = kernels
    by_piece = folded.view(n_filters * block**2, seen, seen // block, block)
    return by_piece.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
