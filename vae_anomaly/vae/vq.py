"""The vector-quantised VAE: each latent position holds one entry of a learned codebook.

Under a uniform prior over K codes the KL is exactly log K nats per position, whatever the input:
it is kept, so that the ELBO is a bound on log p(x) that can be compared with the other models'.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from vae_anomaly.errors import check_parameter
from vae_anomaly.vae.model import VAE, Latents, VAEOutput
from vae_anomaly.vae.networks import (
    UpConvolutions,
    check_spatial,
    down_convolutions,
    pyramid,
    split_params,
)
from vae_anomaly.vae.objectives import LOGVAR_LOW

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from vae_anomaly.vae.likelihoods import Likelihood

_POINTWISE = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


@dataclass(frozen=True)
class VQOutput(VAEOutput):
    """Output of a `VQVAE`; P is the number of latent positions.

    Attributes
    ----------
    indices : Tensor of shape (N, P), int64
        Chosen codes.
    commitment, codebook : Tensor of shape (N,)
        Squared distance between encoder output and code, summed over positions; the gradient of
        the first reaches the encoder only, that of the second the codebook only.
    perplexity : scalar Tensor in [1, K]
        Exponential of the entropy of the codes used in this batch.
    """

    indices: Tensor
    commitment: Tensor
    codebook: Tensor
    perplexity: Tensor


class VQVAE(VAE):
    """Vector-quantised VAE.

    Parameters
    ----------
    encoder : Module
        Returns a map (N, code_dim, *positions), such as `CodeMapEncoder`, or ``(mean, logvar)``
        like the VAE's encoders; then the mean is cut into pieces of `code_dim`.
    decoder : Module
        Takes quantised latents in the encoder's shape.
    likelihood : Likelihood
    codebook_size : int
        K, the number of codes.
    code_dim : int
    ema : bool
        Codes follow a moving average of the encoder outputs assigned to them; False learns them
        by gradient.
    decay : float in [0, 1)
    commitment_weight : float
    dead_below : float
        A code whose share of use falls below this multiple of 1 / K moves to a random encoder
        output (moving average only); 0 leaves dead codes alone.

    References
    ----------
    van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning, 2017.
    """

    output_type: ClassVar[type[VAEOutput]] = VQOutput
    share: Tensor
    total: Tensor
    started: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        codebook_size: int = 64,
        code_dim: int = 8,
        *,
        ema: bool = True,
        decay: float = 0.99,
        commitment_weight: float = 0.25,
        dead_below: float = 0.05,
    ) -> None:
        super().__init__(encoder, decoder, likelihood)
        check_parameter(codebook_size >= 2, self, "codebook_size", "an int >= 2", codebook_size)
        self.codebook_size, self.code_dim = codebook_size, code_dim
        self.ema, self.decay = ema, decay
        self.commitment_weight, self.dead_below = commitment_weight, dead_below
        start = torch.randn(codebook_size, code_dim, generator=torch.Generator().manual_seed(0))
        self.codes = nn.Parameter(start, requires_grad=not ema)
        self.register_buffer("share", torch.full((codebook_size,), 1 / codebook_size))
        self.register_buffer("total", start / codebook_size)  # sum of members over N P
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def positions(self, x: Tensor) -> tuple[Tensor, torch.Size]:
        """Return encoder outputs (N, P, code_dim), float32, and the shape they came in."""
        h = self.encoder(x)
        h = h[0] if isinstance(h, tuple) else h
        if h.ndim > 2:
            return h.float().movedim(1, -1).flatten(1, -2), h.shape
        return h.float().unflatten(1, (-1, self.code_dim)), h.shape

    def infer(
        self, x: Tensor, *, drawn: bool, generator: Generator | None = None, **given: Tensor
    ) -> Latents:
        """Replace each position by its nearest code; there is nothing to draw."""
        h, shape = self.positions(x)
        with _float32(h):
            return self._quantised(h, shape, generator)

    def _quantised(self, h: Tensor, shape: torch.Size, generator: Generator | None) -> Latents:
        if self.training and not self.started:
            self._start(h.detach(), generator)
        indices = self.nearest(h)
        chosen = self.codes[indices]  # (N, P, code_dim)
        if self.training and self.ema:
            self._follow(h.detach(), indices, generator)
        through = h + (chosen - h).detach()  # the gradient passes straight to the encoder
        z = through.flatten(1) if len(shape) == 2 else self._to_map(through, shape)
        kl = torch.full(indices.shape, log(self.codebook_size), device=h.device)
        facts = {
            "indices": indices,
            "commitment": (h - chosen.detach()).square().sum((1, 2)),
            "codebook": (chosen - h.detach()).square().sum((1, 2)),
            "perplexity": self._perplexity(indices),
        }
        mean: Tensor = through.flatten(1)
        return Latents(z, mean, torch.full_like(mean, LOGVAR_LOW), kl, facts)

    def nearest(self, h: Tensor) -> Tensor:
        """Return the index of the nearest code for each position, of shape (N, P)."""
        flat = h.reshape(-1, self.code_dim)
        squared = self.codes.square().sum(1) - 2 * flat @ self.codes.T  # up to |flat|^2
        return squared.argmin(1).reshape(h.shape[:-1])

    def training_loss(self, output: VQOutput, beta: float = 1.0, free_bits: float = 0.0) -> Tensor:
        """Return -ELBO plus commitment, mean over the batch, nats; free bits do not apply."""
        extra = self.commitment_weight * output.commitment
        if not self.ema:
            extra = extra + output.codebook
        return (output.nll + beta * output.kl + extra).mean()

    @property
    def dead_codes(self) -> int:
        """How many codes are hardly ever used, by the running shares."""
        return int((self.share < self.dead_below / self.codebook_size).sum())

    def draw_prior(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw uniformly from the codes; only for encoders of flat shape (N, Z)."""
        n_positions = self.latent_dim // self.code_dim
        device = generator.device if generator is not None else self.codes.device
        shape = (n, n_positions)
        indices = torch.randint(self.codebook_size, shape, generator=generator, device=device)
        return F.embedding(indices.to(self.codes.device), self.codes).flatten(1)

    def importance_log_weights(
        self,
        x: Tensor,
        n_draws: int,
        *,
        generator: Generator | None = None,
        common: bool = False,
        **given: Tensor,
    ) -> Tensor:
        """Return the ELBO of each draw, (n_draws, N): q is certain, so all draws are equal."""
        output: VAEOutput = self(x, sample=False)
        return output.elbo.expand(n_draws, -1)

    def _to_map(self, h: Tensor, shape: torch.Size) -> Tensor:
        return h.movedim(-1, 1).reshape(shape)

    def _perplexity(self, indices: Tensor) -> Tensor:
        share = torch.bincount(indices.flatten(), minlength=self.codebook_size) / indices.numel()
        return torch.exp(torch.special.entr(share).sum())

    @torch.no_grad()
    def _start(self, h: Tensor, generator: Generator | None) -> None:
        """Put the codes where the first batch is."""
        self.codes.copy_(self._some(h, self.codebook_size, generator))
        self.total.copy_(self.codes / self.codebook_size)
        self.started.fill_(True)

    @torch.no_grad()
    def _follow(self, h: Tensor, indices: Tensor, generator: Generator | None) -> None:
        """Move each code to the running mean of what chose it.

        Shares, not counts, are averaged: a batch and its duplicate move the codes equally.
        """
        flat = h.reshape(-1, self.code_dim)
        chosen = F.one_hot(indices.flatten(), self.codebook_size).to(flat.dtype)  # (NP, K)
        self.share.lerp_(chosen.mean(0), 1 - self.decay)
        self.total.lerp_(chosen.T @ flat / len(flat), 1 - self.decay)
        self.codes.copy_(self.total / self.share.clamp(min=1e-7).unsqueeze(1))
        dead = self.share < self.dead_below / self.codebook_size
        if dead.any():
            self.codes[dead] = self._some(h, int(dead.sum()), generator)
            self.share[dead] = 1 / self.codebook_size
            self.total[dead] = self.codes[dead] / self.codebook_size

    def _some(self, h: Tensor, n: int, generator: Generator | None) -> Tensor:
        flat = h.reshape(-1, self.code_dim)
        rows = torch.randint(len(flat), (n,), generator=generator, device=flat.device)
        return flat[rows]


def _float32(x: Tensor) -> AbstractContextManager[object]:
    """Choose codes and follow them in float32, where the rest of the network is in bfloat16."""
    kind = x.device.type
    if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


class CodeMapEncoder(nn.Module):
    """Convolutional encoder to a map of codes, (N, code_dim, *positions).

    Parameters
    ----------
    in_shape : tuple of int
        ``(channels, *sizes)`` of one sample.
    channels : sequence of int
        One convolution with stride 2 each.
    code_dim : int
    spatial_dims : {1, 2, 3}
    """

    def __init__(
        self, in_shape: Sequence[int], channels: Sequence[int], code_dim: int, spatial_dims: int = 2
    ) -> None:
        super().__init__()
        self.in_shape = tuple(in_shape)
        check_spatial(self.in_shape, spatial_dims)
        self.body = down_convolutions((self.in_shape[0], *channels), spatial_dims)
        self.head = _POINTWISE[spatial_dims](channels[-1], code_dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map of encoder outputs."""
        h: Tensor = self.head(self.body(x))
        return h


class CodeMapDecoder(nn.Module):
    """Mirror of `CodeMapEncoder`.

    Parameters
    ----------
    out_shape : tuple of int
    channels : sequence of int
        As given to the encoder; walked backwards.
    code_dim : int
    spatial_dims : {1, 2, 3}
    n_params : int
        Numbers per data dimension, as the likelihood asks.
    """

    def __init__(
        self,
        out_shape: Sequence[int],
        channels: Sequence[int],
        code_dim: int,
        spatial_dims: int = 2,
        *,
        n_params: int = 1,
    ) -> None:
        super().__init__()
        self.out_shape, self.n_params = tuple(out_shape), n_params
        check_spatial(self.out_shape, spatial_dims)
        self.map_size = pyramid(self.out_shape[1:], len(channels))[-1]
        self.stem = _POINTWISE[spatial_dims](code_dim, channels[-1], 1)
        widths = (*reversed(channels), self.out_shape[0] * n_params)
        self.up = UpConvolutions(self.out_shape[1:], widths, spatial_dims)

    def forward(self, z: Tensor) -> Tensor:
        """Return likelihood parameters of shape (N, *out_shape) or (N, *out_shape, n_params)."""
        return split_params(self.up(self.stem(z)), self.n_params)
