"""What people do with the latent space of a fitted detector: sample, interpolate, traverse.

Everything is built on what a detector knows of its own network: posterior means of items
(``transform``), what the decoder makes of latents (``_decode``), latents drawn from the prior
(``_draw_prior``) and the posterior means of training normals (``_latent_reference``). Nothing here
is scored; only `sample` is random.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Final, Generic, Literal, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from vae_anomaly.arrays import Floats32
from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.latents import (
    MixtureSampler,
    NormalSampler,
    Sampler,
    attribute_direction,
    latent_path,
    latent_traversal,
)

Decoded = TypeVar("Decoded", pd.DataFrame, Floats32)
SamplerName = Literal["prior", "normal", "gmm"]

SAMPLERS: Final = ("prior", "normal", "gmm")
MAX_REFERENCE: Final = 2_000
LEADING: Final = 8


class LatentSpaceMixin(Generic[Decoded]):
    """Sample, interpolate and traverse; ``Decoded`` is a table of rows or an array of images."""

    @abstractmethod
    def transform(self, X: object) -> Floats32:
        """Return the posterior means of items, shape (N, Z), float32."""

    @abstractmethod
    def _decode(self, z: Floats32) -> Decoded:
        """Return what the decoder expects at latents (N, Z), N items."""

    @abstractmethod
    def _draw_prior(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Draw latents (n, Z) from the prior."""

    @abstractmethod
    def _latent_reference(self) -> Floats32 | None:
        """Return posterior means of training normals, (M, Z), None where the model kept none."""

    def _generate(self, z: torch.Tensor, generator: torch.Generator) -> Decoded:
        """Return items generated at latents (n, Z); the decoder's mean unless overridden."""
        return self._decode(z.numpy())

    def _one(self, item: object) -> object:
        """Return a single item as ``transform`` takes it."""
        return item

    def sample(
        self, n: int = 1, *, sampler: SamplerName = "prior", random_state: int | None = None
    ) -> Decoded:
        """Generate items that resemble the training normals.

        Parameters
        ----------
        n : int, >= 1
        sampler : {"prior", "normal", "gmm"}
            Where latents are drawn from: the model's prior; one Gaussian, or a mixture of ten,
            fitted to the posterior means of training normals. Where those do not fill the prior,
            the fitted ones look more like the data.
        random_state : int, optional
            The same number gives the same items.

        Returns
        -------
        items : DataFrame of shape (n, columns), or ndarray (n, h, w) or (n, h, w, 3) in [0, 1]
            Rows are drawn from the likelihood, so they vary as real ones do; images are what the
            decoder expects, without noise of single pixels.

        Raises
        ------
        ConfigError
            If ``n`` or ``sampler`` is not as above, or the model kept no latents to fit one to.
        """
        check_is_fitted(self, "calibration_")
        if n < 1 or sampler not in SAMPLERS:
            raise ConfigError(
                f"sample needs n >= 1 and a sampler of {', '.join(SAMPLERS)}; got n={n} and "
                f"sampler={sampler!r}."
            )
        generator = seeded_generator(random_state)
        if sampler == "prior":
            return self._generate(self._draw_prior(n, generator), generator)
        fitted = fitted_sampler(sampler, self._reference_or_refuse(sampler))
        return self._generate(fitted.sample(n, generator), generator)

    def interpolate(
        self, a: object, b: object, steps: int = 10, mode: Literal["linear", "spherical"] = "linear"
    ) -> Decoded:
        """Walk from one item to another through latent space.

        Parameters
        ----------
        a, b : single items
            A row (table of one row, Series, mapping or 1-D array), or an image (path or array).
        steps : int, >= 2
        mode : {"linear", "spherical"}
            Spherical keeps the way at the distance from the origin where the data lie.

        Returns
        -------
        path : as `sample`, of ``steps`` items
            Ends at what the decoder makes of the two items: ``decode(transform(...))``, which is
            their reconstruction (of ``model="bank"`` with neutral shading in place of their own).
        """
        check_is_fitted(self, "calibration_")
        ends = [torch.from_numpy(self._mean_of(item)) for item in (a, b)]
        return self._decode(latent_path(ends[0], ends[1], steps, mode).numpy())

    def traverse(
        self,
        item: object = None,
        dims: Sequence[int] | None = None,
        values: ArrayLike | None = None,
    ) -> Decoded:
        """Move one latent at a time and see what it does.

        Parameters
        ----------
        item : single item, as `interpolate`, optional
            Where to start; the mean of the training normals' latents when left out.
        dims : sequence of int, optional
            Latents to move; `leading_latents` when left out.
        values : array-like of shape (V,), optional
            Values that a latent takes, in sd of the prior; -3, -2 .. 3 when left out.

        Returns
        -------
        grid : ndarray of shape (len(dims), V, h, w[, 3]), or DataFrame of len(dims) * V rows
            Rows have the index (latent, value).

        Raises
        ------
        ConfigError
            If a latent does not exist.
        """
        check_is_fitted(self, "calibration_")
        chosen = list(self.leading_latents() if dims is None else dims)
        at = np.linspace(-3, 3, 7) if values is None else np.asarray(values, dtype=np.float64)
        start = self._centre() if item is None else self._mean_of(item)
        moved = latent_traversal(torch.from_numpy(start), chosen, torch.from_numpy(at))
        decoded = self._decode(moved.flatten(0, 1).numpy())
        if isinstance(decoded, pd.DataFrame):
            index = pd.MultiIndex.from_product([chosen, at], names=["latent", "value"])
            return decoded.set_index(index)
        grid: Floats32 = decoded.reshape(len(chosen), len(at), *decoded.shape[1:])
        return grid

    def decode(self, z: ArrayLike) -> Decoded:
        """Return what the decoder makes of latents, for example of ``transform(X) + direction``.

        Parameters
        ----------
        z : array-like of shape (N, Z), or (Z,) for one item

        Returns
        -------
        items : as `sample`, N of them, without noise

        Raises
        ------
        ConfigError
            If there is another number of latents, or one is not finite.
        """
        check_is_fitted(self, "calibration_")
        latents, wanted = np.atleast_2d(np.asarray(z, dtype=np.float32)), len(self._centre())
        if latents.ndim != 2 or latents.shape[1] != wanted or not np.isfinite(latents).all():
            raise ConfigError(
                f"This model has {wanted} latents, so decode takes finite numbers of shape "
                f"(N, {wanted}); got shape {latents.shape}. Make them with transform()."
            )
        return self._decode(np.ascontiguousarray(latents))

    def attribute_direction(self, with_items: object, without_items: object) -> Floats32:
        """Return the direction in latent space that adds an attribute.

        Parameters
        ----------
        with_items, without_items : as `transform`
            Items that have the attribute, and items that do not.

        Returns
        -------
        direction : ndarray of shape (Z,), float32
            ``decode(transform(X) + direction)`` gives X the attribute, minus takes it away.
        """
        means = [torch.from_numpy(self._means(X)) for X in (with_items, without_items)]
        return np.asarray(attribute_direction(means[0], means[1]).numpy(), dtype=np.float32)

    def training_means(self) -> Floats32 | None:
        """Return posterior means of training normals, (M, Z) of at most 2,000.

        None of a model that kept none.
        """
        check_is_fitted(self, "calibration_")
        return self._latent_reference()

    def leading_latents(self, n: int = LEADING) -> list[int]:
        """Return the latents whose means differ most between training normals, the first first.

        Of a model that kept no latents, the first ones.
        """
        reference = self._latent_reference()
        if reference is None:
            return list(range(min(n, len(self._centre()))))
        order = np.argsort(-reference.astype(np.float64).var(axis=0), kind="stable")
        return [int(place) for place in order[:n]]

    def _means(self, X: object) -> Floats32:
        return np.ascontiguousarray(np.asarray(self.transform(X), dtype=np.float32))

    def _mean_of(self, item: object) -> Floats32:
        means = self._means(self._one(item))
        if len(means) != 1:
            raise ConfigError(
                f"One item is wanted here; got {len(means)}. Give a single row or image."
            )
        mean: Floats32 = means[0]
        return mean

    def _centre(self) -> Floats32:
        """Return the mean of the training normals' latents, the origin where none were kept."""
        reference = self._latent_reference()
        if reference is None:
            return np.zeros(self._draw_prior(1, torch.Generator()).shape[1], dtype=np.float32)
        return np.asarray(reference.mean(axis=0), dtype=np.float32)

    def _reference_or_refuse(self, sampler: str) -> Floats32:
        reference = self._latent_reference()
        if reference is None:
            raise ConfigError(
                f"The sampler {sampler!r} is fitted to the latents of training images, which "
                "this model was saved without. Use the sampler 'prior', or train again."
            )
        return reference


def seeded_generator(random_state: int | None) -> torch.Generator:
    """Return a torch generator; None draws a fresh seed."""
    seed = int(np.random.default_rng(random_state).integers(2**31))
    return torch.Generator().manual_seed(seed)


def fitted_sampler(name: str, latents: Floats32) -> Sampler:
    """Return a sampler fitted to latents (M, Z)."""
    unfitted: Sampler = NormalSampler() if name == "normal" else MixtureSampler()
    return unfitted.fit(torch.from_numpy(np.ascontiguousarray(latents)))
