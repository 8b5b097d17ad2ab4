"""The linear VAE, whose best weights are known in closed form.

With a linear decoder, isotropic noise and a standard normal prior, the ELBO is greatest at the
solution of probabilistic PCA, and there it equals log p(x): the posterior is Gaussian with a
diagonal covariance, so nothing is lost. Training is one eigendecomposition.

References
----------
Tipping and Bishop, Probabilistic Principal Component Analysis, 1999.
Lucas, Tucker, Grosse and Norouzi, Don't Blame the ELBO!, 2019.
"""

from __future__ import annotations

from math import log, pi, prod
from typing import TYPE_CHECKING

import torch
from torch import nn

from vae_anomaly.errors import NotEnoughDataError
from vae_anomaly.vae.model import VAEOutput, draw_gaussian
from vae_anomaly.vae.objectives import gaussian_kl

if TYPE_CHECKING:
    from torch import Generator, Tensor

_MIN_NOISE = 1e-6


class LinearVAE(nn.Module):
    """Linear encoder and decoder with orthogonal latents; fitted by `LinearVAE.fit`.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample, without the batch; D is its product.
    latent_dim : int

    Attributes
    ----------
    location : Tensor of shape (D,)
        Mean of the training data.
    basis : Tensor of shape (D, Z)
        Orthonormal principal directions, the strongest first.
    variance : Tensor of shape (Z,)
        Variance of the training data along each direction, at least the noise.
    noise_variance : Tensor of shape ()
        Variance of what the latents do not explain, per dimension.
    """

    location: Tensor
    basis: Tensor
    variance: Tensor
    noise_variance: Tensor

    def __init__(self, shape: tuple[int, ...], latent_dim: int) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.latent_dim = latent_dim
        n_features = prod(shape)
        self.register_buffer("location", torch.zeros(n_features))
        self.register_buffer("basis", torch.zeros(n_features, latent_dim))
        self.register_buffer("variance", torch.ones(latent_dim))
        self.register_buffer("noise_variance", torch.ones(()))

    @classmethod
    def fit(cls, x: Tensor, latent_dim: int) -> LinearVAE:
        """Return the linear VAE of greatest likelihood for x of shape (N, *shape).

        It has the dtype and device of x. ``latent_dim`` is reduced to N - 1 or D - 1 where the data
        cannot support it. Raises `NotEnoughDataError` if there are fewer than two samples.
        """
        flat = x.flatten(1)
        n, d = flat.shape
        if n < 2:
            raise NotEnoughDataError(
                f"A linear VAE needs at least 2 samples; got {n}. Give more normal samples."
            )
        location = flat.mean(0)
        axes = max(0, min(latent_dim, n - 1, d - 1))
        values, basis, total = _principal_axes(flat - location, axes)
        noise = ((total - values.sum()) / (d - len(values))).clamp(min=_MIN_NOISE)
        model = cls(tuple(x.shape[1:]), len(values)).to(x)
        model.location.copy_(location)
        model.basis.copy_(basis)
        model.variance.copy_(values.clamp(min=noise.item()))
        model.noise_variance.copy_(noise)
        return model

    @property
    def scale(self) -> Tensor:
        """Length of each decoder column, (Z,); 0 for a latent that the noise swallows."""
        return (self.variance - self.noise_variance).clamp(min=0.0).sqrt()

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the exact posterior's mean (N, Z) and log variance (N, Z)."""
        projected = (x.flatten(1) - self.location) @ self.basis
        mean = projected * (self.scale / self.variance)
        logvar = torch.log(self.noise_variance / self.variance)
        return mean, logvar.expand_as(mean)

    def decode(self, z: Tensor) -> Tensor:
        """Return the expected data (N, *shape) of latents (N, Z)."""
        return (self.location + (z * self.scale) @ self.basis.T).view(-1, *self.shape)

    def project(self, x: Tensor) -> Tensor:
        """Return the nearest point on the plane of normals, (N, *shape).

        The limit of `reconstruct` for vanishing noise: nothing is shrunk towards the mean.
        """
        return self.project_and_terms(x)[0]

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the expected data at the posterior mean, (N, *shape); deterministic."""
        return self.decode(self.encode(x)[0])

    def nll_per_dim(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        """Return -log p of each dimension at the posterior mean, (N, *shape), nats."""
        return self._nll(self.reconstruct(x), x if target is None else target)

    def forward(
        self,
        x: Tensor,
        target: Tensor | None = None,
        *,
        generator: Generator | None = None,
        sample: bool | None = None,
    ) -> VAEOutput:
        """Encode, decode and measure, as `vae_anomaly.vae.model.VAE.forward` does."""
        mean, logvar = self.encode(x)
        drawn = self.training if sample is None else sample
        z = draw_gaussian(mean, logvar, generator) if drawn else mean
        recon = self.decode(z)
        nll = self._nll(recon, x if target is None else target).flatten(1).sum(1)
        return VAEOutput(recon, mean, logvar, nll, gaussian_kl(mean, logvar))

    def elbo(self, x: Tensor) -> Tensor:
        """Return the ELBO (N,) in closed form, nats, higher = more normal.

        Equals `log_prob` up to rounding, because the posterior is exact.
        """
        mean, logvar = self.encode(x)
        nll = self._nll(self.decode(mean), x).flatten(1).sum(1)
        wobble = 0.5 * (self.scale.square() * logvar.exp()).sum(1) / self.noise_variance
        return -(nll + wobble + gaussian_kl(mean, logvar).sum(1))

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the exact log p(x) of the marginal Gaussian, (N,), nats."""
        return self.project_and_terms(x)[1]

    def project_and_terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return `project`, `log_prob`, and nll and KL at the posterior mean, (N, 2), nats.

        All of it for the price of `project`: the basis is orthonormal, so what a reconstruction
        misses is what lies outside of the plane, and what the prior shrinks inside of it.
        """
        centred = x.flatten(1) - self.location
        projected = centred @ self.basis
        d, z = self.basis.shape
        inside = (projected.square() / self.variance).sum(1)
        outside = (centred.square().sum(1) - projected.square().sum(1)) / self.noise_variance
        log_det = self.variance.log().sum() + (d - z) * self.noise_variance.log()
        log_prob = -0.5 * (inside + outside + log_det + d * log(2.0 * pi))
        plane = self.location + projected @ self.basis.T
        left = self.noise_variance / self.variance  # posterior variance
        shrunk = (left * projected).square().sum(1) / self.noise_variance
        nll = 0.5 * (outside + shrunk + d * torch.log(2.0 * pi * self.noise_variance))
        mean = projected * (self.scale / self.variance)
        kl = gaussian_kl(mean, left.log().expand_as(mean)).sum(1)
        return plane.view(-1, *self.shape), log_prob, torch.stack((nll, kl), 1)

    def _nll(self, recon: Tensor, target: Tensor) -> Tensor:
        variance = self.noise_variance
        squared = (target - recon).square() / variance
        return 0.5 * (squared + torch.log(2.0 * pi * variance))


def _principal_axes(centred: Tensor, n_axes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return what is known of the covariance, float64, by the smaller of two products.

    Its greatest eigenvalues (Z,), their eigenvectors (D, Z), and the sum of all eigenvalues ().
    """
    n, d = centred.shape
    wide = d > n
    product = _gram(centred) if wide else centred.T @ centred
    product = product.double() / n
    values, vectors = _greatest(product, n_axes)
    if wide:
        vectors = (centred.T @ vectors.to(centred)).double()
        vectors = vectors / vectors.norm(dim=0).clamp(min=1e-12)
    return values, _fix_signs(vectors), product.trace()


def _gram(rows: Tensor) -> Tensor:
    """Return the lower triangle, at least, of all scalar products of rows (N, D), (N, N).

    BLAS computes only that, in little more than half of the time, where it is asked for it.
    """
    if rows.device.type != "cpu" or rows.dtype != torch.float32:
        return rows @ rows.T
    from scipy.linalg.blas import ssyrk

    columns = rows.contiguous().numpy().T  # (D, N) as Fortran has it: nothing is copied
    return torch.from_numpy(ssyrk(1.0, columns, trans=1, lower=1))


def _greatest(product: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return the n greatest eigenvalues, falling, and their vectors, of a lower triangle.

    Where few of many are wanted LAPACK finds them in a third of the time that all take.
    """
    from scipy.linalg import eigh

    size = len(product)
    if n == 0:
        return product.new_zeros(0), product.new_zeros(size, 0)
    values, vectors = eigh(product.cpu().numpy(), subset_by_index=(size - n, size - 1))
    falling = torch.from_numpy(vectors[:, ::-1].copy()).to(product)
    return torch.from_numpy(values[::-1].copy()).to(product).clamp(min=0.0), falling


def _fix_signs(vectors: Tensor) -> Tensor:
    """Make the largest entry of each column positive, so that two fits agree."""
    if vectors.shape[1] == 0:
        return vectors
    rows = vectors.abs().argmax(0)
    return vectors * vectors[rows, torch.arange(vectors.shape[1], device=vectors.device)].sign()
