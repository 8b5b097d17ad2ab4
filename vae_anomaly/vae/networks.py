"""Encoders and decoders: dense, and convolutional in one, two or three spatial dimensions.

None of them keeps batch statistics or draws random numbers, so the output for a sample depends on
that sample alone. Decoders take the same `hidden` or `channels` as their encoder and walk them
backwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import nn

from vae_anomaly.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
}
_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_CONV_TRANSPOSE = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


@contextmanager
def seeded(random_state: int) -> Iterator[None]:
    """Initialise networks from a seed and leave the global random state as it was.

    Examples
    --------
    >>> with seeded(0):
    ...     encoder = MLPEncoder((4,), 8, latent_dim=2)
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        yield


def _activation(name: str) -> nn.Module:
    if name not in _ACTIVATIONS:
        raise ConfigError(
            f"The 'activation' parameter must be one of {', '.join(_ACTIVATIONS)}. Got {name!r}."
        )
    return _ACTIVATIONS[name]()


def _widths(hidden: int | Sequence[int]) -> tuple[int, ...]:
    return (hidden,) if isinstance(hidden, int) else tuple(hidden)


def mlp(sizes: Sequence[int], activation: str = "relu") -> nn.Sequential:
    """Stack linear layers, each followed by its activation."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), _activation(activation)]
    return nn.Sequential(*layers)


def _join(x: Tensor, condition: Tensor | None) -> Tensor:
    return x if condition is None else torch.cat([x, condition.to(x.dtype)], dim=-1)


class MLPEncoder(nn.Module):
    """Dense encoder of data of any shape.

    Parameters
    ----------
    in_shape : tuple of int
        Shape of one sample, without the batch.
    hidden : int or sequence of int
        Widths of the hidden layers; empty for a linear encoder.
    latent_dim : int
    condition_dim : int
        Length of the condition vector that is appended to the data.
    linear_skip : bool
        Add a linear map of the data to the mean, so that what a principal component analysis can
        see is there from the first step.
    activation : {"relu", "silu", "tanh", "elu"}
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        hidden: int | Sequence[int],
        latent_dim: int,
        *,
        condition_dim: int = 0,
        linear_skip: bool = False,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.in_shape, self.latent_dim = tuple(in_shape), latent_dim
        n_in = prod(self.in_shape) + condition_dim
        sizes = (n_in, *_widths(hidden))
        self.body = mlp(sizes, activation)
        self.head = nn.Linear(sizes[-1], 2 * latent_dim)
        self.skip = nn.Linear(n_in, latent_dim, bias=False) if linear_skip else None

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, each of shape (N, Z)."""
        flat = _join(x.flatten(1), condition)
        mean, logvar = self.head(self.body(flat)).chunk(2, dim=-1)
        return (mean if self.skip is None else mean + self.skip(flat)), logvar


class MLPDecoder(nn.Module):
    """Dense decoder to data of any shape.

    Parameters
    ----------
    out_shape : tuple of int
        Shape of one sample, without the batch.
    hidden : int or sequence of int
        Widths as given to the encoder; walked backwards.
    latent_dim : int
    n_params : int
        Numbers per data dimension, as the likelihood asks.
    condition_dim, linear_skip, activation
        As in `MLPEncoder`.
    """

    def __init__(
        self,
        out_shape: Sequence[int],
        hidden: int | Sequence[int],
        latent_dim: int,
        *,
        n_params: int = 1,
        condition_dim: int = 0,
        linear_skip: bool = False,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.out_shape, self.latent_dim, self.n_params = tuple(out_shape), latent_dim, n_params
        sizes = (latent_dim + condition_dim, *reversed(_widths(hidden)))
        n_out = prod(self.out_shape) * n_params
        self.body = mlp(sizes, activation)
        self.head = nn.Linear(sizes[-1], n_out)
        self.skip = nn.Linear(sizes[0], n_out, bias=False) if linear_skip else None

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return likelihood parameters of shape (N, *out_shape) or (N, *out_shape, n_params)."""
        z = _join(z, condition)
        flat: Tensor = self.head(self.body(z))
        if self.skip is not None:
            flat = flat + self.skip(z)
        tail = () if self.n_params == 1 else (self.n_params,)
        return flat.reshape(-1, *self.out_shape, *tail)


def check_spatial(shape: tuple[int, ...], spatial_dims: int) -> None:
    """Refuse a sample shape that does not have one channel axis and the spatial axes."""
    if spatial_dims not in _CONV or len(shape) != spatial_dims + 1 or min(shape) < 1:
        raise ConfigError(
            f"A convolutional network takes samples of shape (channels, *sizes) with spatial_dims "
            f"1, 2 or 3 sizes; got shape {shape} and spatial_dims={spatial_dims}. Add a channel "
            "axis, or set spatial_dims to the number of sizes."
        )


def pyramid(size: Sequence[int], depth: int) -> list[tuple[int, ...]]:
    """Spatial sizes from full resolution down, each half the last, rounded up."""
    sizes = [tuple(size)]
    for _ in range(depth):
        sizes.append(tuple((n + 1) // 2 for n in sizes[-1]))
    return sizes


def down_convolutions(
    widths: Sequence[int], spatial_dims: int, activation: str = "relu"
) -> nn.Sequential:
    """Stack convolutions that halve each size, rounded up, with activations."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [_CONV[spatial_dims](n_in, n_out, 3, stride=2, padding=1)]
        layers += [_activation(activation)]
    return nn.Sequential(*layers)


class UpConvolutions(nn.Module):
    """Mirror of `down_convolutions`: back to the sizes that it started from.

    Transposed convolutions with kernel 4 and stride 2 leave no checkerboard; each output is
    cropped to the size that the encoder saw there, so that odd sizes come back too.

    Parameters
    ----------
    size : sequence of int
        Spatial size of the result.
    widths : sequence of int
        Channels from the smallest map to the result.
    spatial_dims : {1, 2, 3}
    activation : str
        Applied before every convolution.
    """

    def __init__(
        self,
        size: Sequence[int],
        widths: Sequence[int],
        spatial_dims: int,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.sizes = pyramid(size, len(widths) - 1)[::-1]  # smallest first
        self.activation = _activation(activation)
        up = _CONV_TRANSPOSE[spatial_dims]
        self.stages = nn.ModuleList(up(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths))

    def forward(self, h: Tensor) -> Tensor:
        """Return the map at full size."""
        for stage, size in zip(self.stages, self.sizes[1:], strict=True):
            h = stage(self.activation(h))
            for axis, n in enumerate(size, start=2):
                h = h.narrow(axis, 0, n)  # an odd size is one less than doubled
        return h


def split_params(h: Tensor, n_params: int) -> Tensor:
    """Turn C * n_params channels into C channels with n_params numbers in the last axis."""
    if n_params == 1:
        return h
    return h.reshape(len(h), -1, n_params, *h.shape[2:]).movedim(2, -1)


class ConvEncoder(nn.Module):
    """Convolutional encoder of signals, images, volumes or short clips.

    Each entry of `channels` is one convolution with stride 2; any size works, odd ones too.

    Parameters
    ----------
    in_shape : tuple of int
        ``(channels, *sizes)`` of one sample.
    channels : sequence of int
    latent_dim : int
    spatial_dims : {1, 2, 3}
    condition_dim : int
        Length of the condition vector, repeated over space as further input channels.
    activation : {"relu", "silu", "tanh", "elu"}
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        channels: Sequence[int],
        latent_dim: int,
        spatial_dims: int = 2,
        *,
        condition_dim: int = 0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.in_shape, self.latent_dim = tuple(in_shape), latent_dim
        check_spatial(self.in_shape, spatial_dims)
        widths = (self.in_shape[0] + condition_dim, *channels)
        self.body = down_convolutions(widths, spatial_dims, activation)
        smallest = pyramid(self.in_shape[1:], len(channels))[-1]
        self.head = nn.Linear(channels[-1] * prod(smallest), 2 * latent_dim)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, each of shape (N, Z)."""
        if condition is not None:
            planes = condition.to(x.dtype).reshape(*condition.shape, *[1] * (x.ndim - 2))
            x = torch.cat([x, planes.expand(-1, -1, *x.shape[2:])], dim=1)
        mean, logvar = self.head(self.body(x).flatten(1)).chunk(2, dim=-1)
        return mean, logvar


class ConvDecoder(nn.Module):
    """Convolutional decoder, the mirror of `ConvEncoder`; its output has the encoder's shape.

    Parameters
    ----------
    out_shape : tuple of int
        ``(channels, *sizes)`` of one sample.
    channels : sequence of int
        As given to the encoder; walked backwards.
    latent_dim : int
    spatial_dims : {1, 2, 3}
    n_params : int
        Numbers per data dimension, as the likelihood asks.
    condition_dim, activation
        As in `ConvEncoder`.
    """

    def __init__(
        self,
        out_shape: Sequence[int],
        channels: Sequence[int],
        latent_dim: int,
        spatial_dims: int = 2,
        *,
        n_params: int = 1,
        condition_dim: int = 0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.out_shape, self.latent_dim, self.n_params = tuple(out_shape), latent_dim, n_params
        check_spatial(self.out_shape, spatial_dims)
        self.first = (channels[-1], *pyramid(self.out_shape[1:], len(channels))[-1])
        self.stem = nn.Linear(latent_dim + condition_dim, prod(self.first))
        widths = (*reversed(channels), self.out_shape[0] * n_params)
        self.up = UpConvolutions(self.out_shape[1:], widths, spatial_dims, activation)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return likelihood parameters of shape (N, *out_shape) or (N, *out_shape, n_params)."""
        h = self.stem(_join(z, condition)).reshape(-1, *self.first)
        return split_params(self.up(h), self.n_params)
