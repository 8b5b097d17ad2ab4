"""K variational autoencoders that train together: weights (K, in, out), one `baddbmm` a layer.

Every member has its own input, so that each may look at its own view of the rows. Members never
mix: their gradients are independent, and a row of weight 0 for a member is a row it has not seen.

The likelihood is typed: features are Gaussian with a learned sigma, or belong to discrete columns
that are categorical over the values seen in training and one slot for all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.likelihoods.continuous import HALF_LOG_2PI
from vae_anomaly.vae.model import VAEOutput, draw_gaussian
from vae_anomaly.vae.objectives import clamp_logvar, gaussian_kl

if TYPE_CHECKING:
    from torch import Generator, Tensor

LOGVAR_RANGE = (-10.0, 4.0)
MIN_LOG_SIGMA = -3.0  # sigma >= .05 of a standardised feature
NARROW = 16  # outputs; in a narrower product a row's last bits depend on its place in the batch
SKIP_GAIN = 0.5
LOGVAR_GAIN = 0.1


@dataclass(frozen=True)
class TargetLayout:
    """Say what the decoder is asked about.

    Parameters
    ----------
    gaussian : tuple of int
        Features with a Gaussian likelihood.
    classes : tuple of int
        Number of classes of each discrete column, the one for values never seen included.

    The target of a row is the Gaussian features, then one code per discrete column.
    """

    gaussian: tuple[int, ...]
    classes: tuple[int, ...] = ()

    @property
    def n_params(self) -> int:
        """Numbers that the decoder emits."""
        return len(self.gaussian) + sum(self.classes)

    @property
    def n_targets(self) -> int:
        """Length of a target: also the number of terms of the negative log-likelihood."""
        return len(self.gaussian) + len(self.classes)


class StackedLinear(nn.Module):
    """K linear layers in one product.

    Parameters
    ----------
    gain : float
        Weights start as N(0, gain^2 / n_in).
    """

    def __init__(
        self, n_members: int, n_in: int, n_out: int, *, gain: float = 1.0, bias: bool = True
    ) -> None:
        super().__init__()
        self.n_out = n_out
        self.weight = nn.Parameter(
            torch.randn(n_members, n_in, n_out) * (gain / sqrt(max(n_in, 1)))
        )
        self.bias = nn.Parameter(torch.zeros(n_members, 1, n_out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, N, in) to (K, N, out); in evaluation a row's place does not matter."""
        if self.training or self.n_out >= NARROW:
            return _product(x, self.weight, self.bias)
        wider = (0, NARROW - self.n_out)
        bias = None if self.bias is None else F.pad(self.bias, wider)
        return _product(x, F.pad(self.weight, wider), bias)[..., : self.n_out]


class TypedLikelihood(nn.Module):
    """Gaussian features and categorical columns side by side, for K members.

    Parameters
    ----------
    codebook : Tensor of shape (K, sum(classes), D), optional
        What each class of each discrete column adds to the encoded features; `mean` needs it.
    n_features : int
        D, the number of encoded features.
    """

    def __init__(
        self, n_members: int, layout: TargetLayout, n_features: int, codebook: Tensor | None = None
    ) -> None:
        super().__init__()
        self.layout, self.n_features = layout, n_features
        n_gaussian, n_classes = len(layout.gaussian), sum(layout.classes)
        start = MIN_LOG_SIGMA + log(torch.expm1(torch.tensor(-MIN_LOG_SIGMA)).item())
        self.raw_log_sigma = nn.Parameter(torch.full((n_members, 1, n_gaussian), start))
        if codebook is None:
            codebook = torch.zeros(n_members, n_classes, n_features)
        self.register_buffer("codebook", codebook)
        self.codebook: Tensor
        self.buckets = _buckets(layout.classes)
        self.order = _order(self.buckets, n_gaussian)
        self.places = torch.tensor(layout.gaussian, dtype=torch.long)

    @property
    def log_sigma(self) -> Tensor:
        """Natural logarithm of the Gaussian features' standard deviations, (K, 1, gaussian)."""
        return MIN_LOG_SIGMA + F.softplus(self.raw_log_sigma - MIN_LOG_SIGMA)

    def nll(self, params: Tensor, target: Tensor) -> Tensor:
        """Compute -log p(target | params), (K, N, n_targets), nats; higher = less likely.

        ``params`` is (K, N, n_params); a target is the Gaussian features, then codes.
        """
        n_gaussian = len(self.layout.gaussian)
        log_sigma = self.log_sigma
        scaled = (target[..., :n_gaussian] - params[..., :n_gaussian]) * torch.exp(-log_sigma)
        gaussian = 0.5 * scaled.square() + (log_sigma + HALF_LOG_2PI)
        if not self.buckets:
            return gaussian
        parts = [gaussian]
        for bucket, logits in self._logits(params):
            codes = target[..., n_gaussian + bucket.columns].long().unsqueeze(-2)
            parts.append(-F.log_softmax(logits, dim=-2).gather(-2, codes).squeeze(-2))
        nll = torch.cat(parts, dim=-1)
        return nll if self.order is None else nll[..., self.order]

    def mean(self, params: Tensor) -> Tensor:
        """Return the expected encoded features, (K, N, D); 0 where nothing is decoded."""
        n_gaussian = len(self.layout.gaussian)
        expected = params.new_zeros(*params.shape[:-1], self.n_features)
        expected[..., self.places] = params[..., :n_gaussian]
        for bucket, logits in self._logits(params):
            p = F.softmax(logits, dim=-2).flatten(-2)
            expected = expected + p @ self.codebook[:, bucket.classes]
        return expected

    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw targets of shape (K, N, n_targets): Gaussian features, then codes."""
        n_gaussian = len(self.layout.gaussian)
        mean = params[..., :n_gaussian]
        noise = torch.randn(mean.shape, generator=generator)
        drawn = params.new_empty(*params.shape[:-1], self.layout.n_targets)
        drawn[..., :n_gaussian] = mean + noise * torch.exp(self.log_sigma)
        for bucket, logits in self._logits(params):
            p = F.softmax(logits, dim=-2).transpose(-1, -2)
            codes = torch.multinomial(p.flatten(0, -2), 1, generator=generator)
            drawn[..., n_gaussian + bucket.columns] = codes.reshape(p.shape[:-1]).to(drawn.dtype)
        return drawn

    def probabilities(self, params: Tensor) -> Tensor:
        """Return the probability of every class, (K, N, sum(classes)), columns in their order."""
        p = params.new_empty(*params.shape[:-1], sum(self.layout.classes))
        for bucket, logits in self._logits(params):
            p[..., bucket.classes] = F.softmax(logits, dim=-2).flatten(-2)
        return p

    def _logits(self, params: Tensor) -> Iterator[tuple[_Bucket, Tensor]]:
        """Yield each bucket with its logits (K, N, classes, columns); views, not copies."""
        start = len(self.layout.gaussian)
        for bucket in self.buckets:
            stop = start + len(bucket.classes)
            yield (
                bucket,
                params[..., start:stop].reshape(*params.shape[:-1], -1, len(bucket.columns)),
            )
            start = stop


class EnsembleVAE(nn.Module):
    """K dense variational autoencoders of one shape.

    Encoder and decoder are two hidden layers each, with a linear skip from input to latent mean and
    from latent to output, so that what a principal component analysis sees is there from the start.
    The encoder may be told which features were hidden from it (`n_inputs` = 2 D).

    Parameters
    ----------
    n_features : int
        D, encoded features.
    hidden : int
        Width of the hidden layers.
    sees_mask : bool
        Whether the encoder also reads which features are hidden.
    codebook : Tensor of shape (K, sum(classes), D), optional
    """

    def __init__(
        self,
        n_members: int,
        n_features: int,
        latent_dim: int,
        layout: TargetLayout,
        *,
        hidden: int = 64,
        sees_mask: bool = True,
        codebook: Tensor | None = None,
    ) -> None:
        super().__init__()
        if min(n_members, n_features, latent_dim, hidden) < 1:
            raise ConfigError(
                "EnsembleVAE needs members, features, latent_dim and hidden >= 1; got "
                f"{n_members}, {n_features}, {latent_dim}, {hidden}. Raise the one that is 0."
            )
        self.n_members, self.n_features, self.latent_dim = n_members, n_features, latent_dim
        self.hidden, self.sees_mask = hidden, sees_mask
        n_in, n_out = n_features * (2 if sees_mask else 1), layout.n_params
        linear, k = StackedLinear, n_members
        self.encoder = nn.ModuleDict(
            {
                "first": linear(k, n_in, hidden),
                "second": linear(k, hidden, hidden),
                "mean": linear(k, hidden, latent_dim),
                "logvar": linear(k, hidden, latent_dim, gain=LOGVAR_GAIN),
                "skip": linear(k, n_in, latent_dim, gain=SKIP_GAIN, bias=False),
            }
        )
        self.decoder = nn.ModuleDict(
            {
                "first": linear(k, latent_dim, hidden),
                "second": linear(k, hidden, hidden),
                "out": linear(k, hidden, n_out, gain=SKIP_GAIN),
                "skip": linear(k, latent_dim, n_out, gain=SKIP_GAIN, bias=False),
            }
        )
        self.likelihood = TypedLikelihood(k, layout, n_features, codebook)

    @property
    def layout(self) -> TargetLayout:
        """What the decoder is asked about."""
        return self.likelihood.layout

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, each (K, N, Z), of inputs (K, N, D) or (K, N, 2 D)."""
        net = self.encoder
        if self.sees_mask and x.shape[-1] == self.n_features:
            x = torch.cat([x, torch.zeros_like(x)], dim=-1)
        h = F.silu(net["second"](F.silu(net["first"](x))))
        logvar = clamp_logvar(net["logvar"](h), *LOGVAR_RANGE)
        return net["mean"](h) + net["skip"](x), logvar

    def decode(self, z: Tensor) -> Tensor:
        """Return likelihood parameters (K, N, n_params) of latents (K, N, Z)."""
        net = self.decoder
        h = F.silu(net["second"](F.silu(net["first"](z))))
        params: Tensor = net["out"](h) + net["skip"](z)
        return params

    def forward(
        self,
        x: Tensor,
        target: Tensor,
        *,
        generator: Generator | None = None,
        weights: Tensor | None = None,
        sample: bool | None = None,
    ) -> VAEOutput:
        """Encode, draw, decode and measure.

        Rows come first, so that a training loop can take batches: ``x`` is (N, K, D) or (N, K, 2
        D), each member's own view, ``target`` (N, K, n_targets). ``weights`` (N, K) multiply the
        terms of each row for each member; 0 hides a row from a member. ``sample`` None draws z in
        training mode and takes the posterior mean in evaluation.

        The output has the members in front: nll (K, N), kl_per_dim (K, N, Z), nats. `recon` holds
        the likelihood's parameters; `likelihood.mean` turns them into features where asked.
        """
        mean, logvar = self.encode(x.movedim(1, 0))
        drawn = self.training if sample is None else sample
        z = draw_gaussian(mean, logvar, generator) if drawn else mean
        params = self.decode(z)
        nll = self.likelihood.nll(params, target.movedim(1, 0)).sum(-1)
        kl = gaussian_kl(mean, logvar)
        if weights is not None:
            shares = weights.T  # (K, N)
            nll, kl = nll * shares, kl * shares.unsqueeze(-1)
        return VAEOutput(recon=params, mean=mean, logvar=logvar, nll=nll, kl_per_dim=kl)

    def training_loss(self, output: VAEOutput, beta: float, free_bits: float = 0.0) -> Tensor:
        """Return (nll + beta KL) / D summed over members: of one scale for every table."""
        kl = output.kl_per_dim.mean(1).clamp(min=free_bits).sum(-1)
        return (output.nll.mean(-1) + beta * kl).sum() / self.n_features

    def member(self, index: int) -> EnsembleVAE:
        """Return one member as an ensemble of one, in evaluation mode, with weights of its own."""
        with torch.random.fork_rng(devices=[]):
            alone = EnsembleVAE(
                1,
                self.n_features,
                self.latent_dim,
                self.layout,
                hidden=self.hidden,
                sees_mask=self.sees_mask,
            )
        state = {name: value[index : index + 1] for name, value in self.state_dict().items()}
        alone.load_state_dict(state)
        return alone.eval()


class EnsembleGroup(nn.Module):
    """Ensembles of different shape, but the same features and latents, that train in one loop."""

    def __init__(self, ensembles: Sequence[EnsembleVAE]) -> None:
        super().__init__()
        self.parts = list(ensembles)
        self.ensembles = nn.ModuleList(ensembles)  # registers their parameters
        self.sizes = [ensemble.n_members for ensemble in ensembles]
        self.n_targets = max(ensemble.layout.n_targets for ensemble in ensembles)

    def forward(
        self,
        x: Tensor,
        target: Tensor,
        *,
        generator: Generator | None = None,
        weights: Tensor | None = None,
    ) -> VAEOutput:
        """Pass each ensemble its members' rows; see `EnsembleVAE.forward`.

        The second axis has the members of all ensembles; targets are padded at the end for
        ensembles with fewer.
        """
        inputs, targets = torch.split(x, self.sizes, 1), torch.split(target, self.sizes, 1)
        shares = (
            [None] * len(self.sizes) if weights is None else torch.split(weights, self.sizes, 1)
        )
        outputs: list[VAEOutput] = [
            ensemble(a, b[..., : ensemble.layout.n_targets], generator=generator, weights=w)
            for ensemble, a, b, w in zip(self.parts, inputs, targets, shares, strict=True)
        ]
        width = max(ensemble.layout.n_params for ensemble in self.parts)
        return VAEOutput(
            recon=torch.cat([F.pad(o.recon, (0, width - o.recon.shape[-1])) for o in outputs]),
            mean=torch.cat([o.mean for o in outputs]),
            logvar=torch.cat([o.logvar for o in outputs]),
            nll=torch.cat([o.nll for o in outputs]),
            kl_per_dim=torch.cat([o.kl_per_dim for o in outputs]),
        )

    def training_loss(self, output: VAEOutput, beta: float, free_bits: float = 0.0) -> Tensor:
        """Return the sum of the members' losses; see `EnsembleVAE.training_loss`."""
        return self.parts[0].training_loss(output, beta, free_bits)

    def members(self) -> list[EnsembleVAE]:
        """Return every member as an ensemble of one, in the order of the rows' second axis."""
        return [e.member(i) for e in self.parts for i in range(e.n_members)]


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.bmm(x, weight) if bias is None else torch.baddbmm(bias, x, weight)


@dataclass(frozen=True)
class _Bucket:
    """Discrete columns with the same number of classes, whose logits lie side by side.

    Class by class, and within a class column by column: a softmax over few classes of many columns
    is then vectorised over the columns. ``columns`` (g,) says which they are, ``classes`` (c * g,)
    where their classes lie in the order of the columns.
    """

    columns: Tensor
    classes: Tensor


def _buckets(classes: Sequence[int]) -> list[_Bucket]:
    """Group discrete columns by their number of classes."""
    starts = [sum(classes[:i]) for i in range(len(classes))]
    out = []
    for size in sorted(set(classes)):
        columns = [i for i, n in enumerate(classes) if n == size]
        places = [starts[i] + j for j in range(size) for i in columns]
        out.append(_Bucket(torch.tensor(columns), torch.tensor(places)))
    return out


def _order(buckets: Sequence[_Bucket], n_gaussian: int) -> Tensor | None:
    """Return what sorts targets from bucket order to column order; None where they agree."""
    if len(buckets) < 2:
        return None
    columns = torch.cat([bucket.columns for bucket in buckets])
    return torch.cat([torch.arange(n_gaussian), n_gaussian + columns.argsort()])
