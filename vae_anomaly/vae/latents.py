"""What people do with a latent space: embed, sample, interpolate, traverse, balance.

Everything is computed from posterior means and is deterministic, unless a `generator` is given.
A model is anything with the `VAE`'s methods; ``given`` stands for its further inputs, such as
``condition``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from vae_anomaly.arrays import AnyFloats, AnyInts
from vae_anomaly.errors import ConfigError, NotEnoughDataError
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from torch import Generator

    from vae_anomaly.vae.model import VAE


class Sampler(Protocol):
    """A distribution that is fitted to latents and drawn from."""

    def fit(self, latents: Tensor) -> Sampler:
        """Fit to latents of shape (N, Z)."""
        ...

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n latents, (n, Z)."""
        ...


class NormalSampler:
    """One Gaussian with full covariance."""

    def fit(self, latents: Tensor) -> NormalSampler:
        """Fit mean and covariance to latents of shape (N, Z), N >= 2."""
        _need(latents, 2)
        z = latents.double()
        self.mean_ = z.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(z.T).reshape(z.shape[1], -1))
        self.scale_ = vectors * values.clamp(min=0).sqrt()  # (Z, Z), also where it is singular
        return self

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n latents, (n, Z), float32."""
        noise = torch.randn(n, len(self.mean_), generator=generator, dtype=torch.float64)
        drawn: Tensor = self.mean_ + noise @ self.scale_.T
        return drawn.float()


class MixtureSampler:
    """Mixture of Gaussians with full covariance, fitted by scikit-learn.

    Parameters
    ----------
    n_components : int
        Reduced to the number of latents given.
    random_state : int
    """

    def __init__(self, n_components: int = 10, random_state: int = 0) -> None:
        self.n_components, self.random_state = n_components, random_state

    def fit(self, latents: Tensor) -> MixtureSampler:
        """Fit to latents of shape (N, Z), N >= 2."""
        from sklearn.mixture import GaussianMixture

        _need(latents, 2)
        mixture = GaussianMixture(
            min(self.n_components, len(latents)), random_state=self.random_state, reg_covar=1e-5
        ).fit(latents.double().numpy())
        self.weights_ = torch.from_numpy(mixture.weights_)
        self.means_ = torch.from_numpy(mixture.means_)
        self.factors_ = torch.linalg.cholesky(torch.from_numpy(mixture.covariances_))
        return self

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n latents, (n, Z), float32."""
        chosen = torch.multinomial(self.weights_, n, replacement=True, generator=generator)
        shape = (n, self.means_.shape[1], 1)
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        drawn: Tensor = self.means_[chosen] + (self.factors_[chosen] @ noise).squeeze(-1)
        return drawn.float()


@torch.no_grad()
def embed(
    model: VAE,
    x: Tensor,
    *,
    batch_size: int = 512,
    return_std: bool = False,
    given: Mapping[str, Tensor] | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Compress data to posterior means.

    Parameters
    ----------
    model : VAE
    x : Tensor of shape (N, *x)
    batch_size : int
    return_std : bool
        Return the posterior's standard deviations as well.
    given : mapping of name to Tensor of shape (N, ...), optional

    Returns
    -------
    mean : Tensor of shape (N, Z), float32, on the CPU
    std : Tensor of shape (N, Z)
        Only with `return_std`.
    """
    device, parts = _device(model), []
    for start in range(0, len(x), batch_size):
        rows = slice(start, start + batch_size)
        extras = {name: value[rows].to(device) for name, value in (given or {}).items()}
        mean, logvar = model.encode(x[rows].to(device), **extras)
        parts.append((mean.cpu(), torch.exp(0.5 * logvar).cpu()))
    if not parts:
        raise NotEnoughDataError("There is nothing to embed; got 0 samples. Check the input.")
    means, stds = (torch.cat(part) for part in zip(*parts, strict=True))
    return (means, stds) if return_std else means


@torch.no_grad()
def sample(
    model: VAE,
    n: int,
    *,
    sampler: Sampler | None = None,
    generator: Generator | None = None,
    noise: bool = False,
    given: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Generate data from latents drawn from the prior, or from a fitted sampler.

    Parameters
    ----------
    model : VAE
    n : int
    sampler : Sampler, optional
        Such as ``MixtureSampler().fit(embed(model, x))``; the model's prior when left out.
    generator : torch.Generator, optional
        Seed it for the same bytes every time.
    noise : bool
        Draw from the likelihood instead of returning its mean.
    given : mapping of name to Tensor of shape (n, ...), optional

    Returns
    -------
    x : Tensor of shape (n, *x), in the data's unit
    """
    drawn = model.draw_prior(n, generator) if sampler is None else sampler.sample(n, generator)
    params = model.decode(drawn.to(_device(model)), **dict(given or {}))
    return model.likelihood.sample(params, generator) if noise else model.likelihood.mean(params)


@torch.no_grad()
def interpolate(
    model: VAE,
    x0: Tensor,
    x1: Tensor,
    steps: int = 10,
    mode: Literal["linear", "spherical"] = "linear",
    *,
    given: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Walk from one sample to another through latent space.

    Parameters
    ----------
    model : VAE
    x0, x1 : Tensor of shape (*x)
        Single samples, without a batch axis.
    steps : int, >= 2
    mode : {"linear", "spherical"}
        Spherical turns the direction at a constant rate and interpolates the length, which keeps
        the way at the distance from the origin where data lie.
    given : mapping of name to Tensor of shape (2, ...), optional
        For both ends; the steps take that of the first.

    Returns
    -------
    path : Tensor of shape (steps, *x)
        The first and last are the reconstructions of the two samples.

    Raises
    ------
    ConfigError
        If `steps` or `mode` is not as above.
    """
    extras = dict(given or {})
    ends = model.encode(torch.stack([x0, x1]).to(_device(model)), **extras)[0]
    z = latent_path(ends[0], ends[1], steps, mode)
    repeated = {name: value[:1].expand(steps, *value.shape[1:]) for name, value in extras.items()}
    return model.likelihood.mean(model.decode(z, **repeated))


def latent_path(
    z0: Tensor, z1: Tensor, steps: int = 10, mode: Literal["linear", "spherical"] = "linear"
) -> Tensor:
    """Return the latents (steps, Z) from z0 to z1, each (Z,) and included; as `interpolate`."""
    if steps < 2 or mode not in ("linear", "spherical"):
        raise ConfigError(
            "Interpolation needs steps >= 2 and a mode of linear or spherical; got "
            f"steps={steps} and mode={mode!r}."
        )
    share = torch.linspace(0, 1, steps, device=z0.device).unsqueeze(1)
    return torch.lerp(z0, z1, share) if mode == "linear" else _slerp(z0, z1, share)


def _slerp(z0: Tensor, z1: Tensor, share: Tensor) -> Tensor:
    """Turn from z0 to z1, lengths interpolated; a straight line where no turn is defined."""
    length0, length1 = z0.norm(), z1.norm()
    cosine = (z0 @ z1 / (length0 * length1).clamp(min=1e-12)).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if float(length0 * length1) == 0 or float(torch.sin(angle)) < 1e-4:
        return torch.lerp(z0, z1, share)
    unit0, unit1 = z0 / length0, z1 / length1
    turn = torch.sin((1 - share) * angle) * unit0 + torch.sin(share * angle) * unit1
    lengths = torch.lerp(length0, length1, share)
    path: Tensor = lengths * turn / torch.sin(angle)
    return path


@torch.no_grad()
def traverse(
    model: VAE,
    z: Tensor,
    dims: Sequence[int] | None = None,
    values: Tensor | None = None,
    *,
    given: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Move one latent at a time and look at the data it makes.

    Parameters
    ----------
    model : VAE
    z : Tensor of shape (Z,)
        Where to start, for example the posterior mean of one sample.
    dims : sequence of int, optional
        Latents to move; all when left out.
    values : Tensor of shape (V,), optional
        Values that a latent takes; -3, -2 .. 3 when left out.
    given : mapping of name to Tensor of shape (1, ...), optional

    Returns
    -------
    grid : Tensor of shape (len(dims), V, *x)

    Raises
    ------
    ConfigError
        If a latent does not exist.
    """
    moved = latent_traversal(z, dims, values)  # (len(dims), V, Z)
    flat = moved.flatten(0, 1).to(_device(model))
    extras = {k: v[:1].expand(len(flat), *v.shape[1:]) for k, v in (given or {}).items()}
    recon = model.likelihood.mean(model.decode(flat, **extras))
    return recon.reshape(*moved.shape[:2], *recon.shape[1:])


def latent_traversal(
    z: Tensor, dims: Sequence[int] | None = None, values: Tensor | None = None
) -> Tensor:
    """Return the latents in which one at a time takes other values, (len(dims), V, Z).

    See `traverse`, whose arguments and error these are.
    """
    dims = list(range(len(z)) if dims is None else dims)
    unknown = [dim for dim in dims if not 0 <= dim < len(z)]
    if unknown:
        raise ConfigError(f"There are latents 0 to {len(z) - 1}; got {unknown}. Choose among them.")
    values = torch.linspace(-3, 3, 7) if values is None else values
    moved = z.expand(len(dims), len(values), -1).clone()
    for row, dim in enumerate(dims):
        moved[row, :, dim] = values.to(moved)
    return moved


@torch.no_grad()
def latent_plane(model: VAE, steps: int = 15, limit: float = 2.5) -> Tensor:
    """Decode a grid over a latent space of two dimensions.

    Parameters
    ----------
    model : VAE
        With ``latent_dim = 2``.
    steps : int
    limit : float
        The grid reaches from -limit to +limit in both latents.

    Returns
    -------
    grid : Tensor of shape (steps, steps, *x)
        Rows follow the second latent, from +limit down; columns the first, rising: as a plot has
        it.

    Raises
    ------
    ConfigError
        If the model has not exactly two latents.
    """
    if model.latent_dim != 2:
        raise ConfigError(
            f"A plane needs a model with 2 latents; got {model.latent_dim}. Use traverse() for "
            "others, or train with latent_dim=2."
        )
    axis = torch.linspace(-limit, limit, steps, device=_device(model))
    rows, columns = torch.meshgrid(axis.flip(0), axis, indexing="ij")
    z = torch.stack([columns, rows], dim=-1).flatten(0, 1)
    recon = model.likelihood.mean(model.decode(z))
    return recon.reshape(steps, steps, *recon.shape[1:])


def attribute_direction(z_with: Tensor, z_without: Tensor) -> Tensor:
    """Return the direction (Z,) in latent space that adds an attribute.

    The difference of the mean latents of samples with (N, Z) and without (M, Z) it: subtract it to
    take the attribute away.
    """
    _need(z_with, 1)
    _need(z_without, 1)
    return z_with.mean(0) - z_without.mean(0)


@dataclass(frozen=True)
class BalancedData:
    """A data set with as many samples of each class.

    Attributes
    ----------
    X : Tensor of shape (M, *x)
        The original samples first and unchanged, then the synthetic ones.
    y : Tensor of shape (M,)
    synthetic : Tensor of shape (M,), bool
        True for generated samples. Never let them into a test split or a threshold:
        ``X[~synthetic]`` are the real ones.
    """

    X: Tensor
    y: Tensor
    synthetic: Tensor


def balance(
    model: VAE,
    X: Tensor,
    y: Tensor,
    *,
    sampler: Sampler | None = None,
    random_state: int = 0,
    noise: bool = True,
) -> BalancedData:
    """Fill up small classes with generated samples, marked as synthetic.

    Parameters
    ----------
    model : VAE
    X : Tensor of shape (N, *x)
    y : Tensor of shape (N,)
        Classes; each needs at least 2 samples.
    sampler : Sampler, optional
        Fitted anew to the latents of each class; `NormalSampler` when left out.
    random_state : int
    noise : bool
        Draw from the likelihood, so that samples vary as real ones do.

    Returns
    -------
    balanced : BalancedData

    Raises
    ------
    NotEnoughDataError
        If a class has a single sample.
    """
    generator = torch.Generator().manual_seed(random_state)
    sampler = sampler or NormalSampler()
    classes, counts = torch.unique(y, return_counts=True)
    generated, labels = [], []
    for label, count in zip(classes, counts.tolist(), strict=True):
        missing = int(counts.max()) - count
        if missing:
            latents = embed(model, X[y == label])
            fitted = sampler.fit(latents)  # type: ignore[arg-type]  # a Tensor is an array to it
            drawn = sample(model, missing, sampler=fitted, generator=generator, noise=noise)
            generated.append(drawn.to(X))
            labels.append(label.expand(missing))
    synthetic = torch.zeros(len(X) + sum(map(len, generated)), dtype=torch.bool)
    synthetic[len(X) :] = True
    return BalancedData(torch.cat([X, *generated]), torch.cat([y, *labels]), synthetic)


def latent_report(latents: AnyFloats | Tensor, labels: Sequence[int] | AnyInts) -> dict[str, float]:
    """Say how well clusters of latents are separated.

    Parameters
    ----------
    latents : array of shape (N, Z)
    labels : array of shape (N,)
        Cluster of each sample, for example from ``make_pipeline(detector, KMeans(5))``.

    Returns
    -------
    report : dict
        ``n_clusters``; ``silhouette`` in [-1, 1], higher = better separated; ``smallest_share``,
        the share of samples in the smallest cluster.

    Examples
    --------
    Clusters of the latents of a detector, and how well they are separated:

    >>> from sklearn.cluster import KMeans
    >>> from sklearn.pipeline import make_pipeline
    >>> from vae_anomaly import TabularVAEDetector
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.normal(size=(300, 4)) + 8.0 * rng.integers(0, 2, (300, 1))
    >>> detector = TabularVAEDetector(preset="fast", max_steps=60, random_state=0)
    >>> pipeline = make_pipeline(detector, KMeans(2, random_state=0)).fit(rows)
    >>> report = latent_report(pipeline[:-1].transform(rows), pipeline.predict(rows))
    >>> report["silhouette"] > 0.5, round(report["smallest_share"], 1)
    (True, 0.5)
    """
    from sklearn.metrics import silhouette_score

    z, codes = np.asarray(latents), np.asarray(labels)
    _, counts = np.unique(codes, return_counts=True)
    if not 2 <= len(counts) < len(codes):
        raise NotEnoughDataError(
            f"A silhouette needs 2 or more clusters, and fewer than samples; got {len(counts)} "
            f"clusters of {len(codes)} samples. Choose another number of clusters."
        )
    return {
        "n_clusters": float(len(counts)),
        "silhouette": float(silhouette_score(z, codes)),
        "smallest_share": float(counts.min() / counts.sum()),
    }


def _device(model: VAE) -> torch.device:
    return next(model.parameters()).device


def _need(latents: Tensor, n: int) -> None:
    if len(latents) < n:
        raise NotEnoughDataError(
            f"At least {number_of(n, 'latent')} are needed; got {len(latents)}. Give more samples."
        )
