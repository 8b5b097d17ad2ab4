"""Which material an image shows: one model may have seen brushed metal and woven cloth.

What is a spot on metal is every thread of cloth. So good images are divided by what they look like
as a whole, and each material has its own notion of normal; most sets are one material. A larger
number is taken only where every material has enough images, images belong clearly to one, and
the Bayesian information criterion says that it is worth it.

References
----------
Schwarz, Estimating the dimension of a model, 1978.
"""

from __future__ import annotations

from typing import Final, Self

import numpy as np
import torch
from torch import Tensor, nn

from vae_anomaly.arrays import Floats

MOST_MATERIALS: Final = 4
LEAST_IMAGES: Final = 40
"""Good images that a material must have to be one of several."""

AXES: Final = 4

_CLEAR: Final = 0.9  # mean probability of the material that each image is taken for
_GAIN: Final = 10.0  # of the criterion, for one material more
_LEAST_VARIANCE: Final = 1e-3  # of coordinates whose first has variance 1


class Materials(nn.Module):
    """Tell by its look (D,) which of K materials an image shows.

    The look is brought to its principal axes, (D, A); each material is a Gaussian of centre (K, A)
    and variance (K, A) there, with its share of the images.
    """

    mean: Tensor
    axes: Tensor
    centre: Tensor
    variance: Tensor
    share: Tensor

    def __init__(self, n_looks: int, n: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_looks))
        self.register_buffer("axes", torch.zeros(n_looks, AXES))
        self.register_buffer("centre", torch.zeros(n, AXES))
        self.register_buffer("variance", torch.ones(n, AXES))
        self.register_buffer("share", torch.full((n,), 1.0 / n))

    def __len__(self) -> int:
        return len(self.share)

    @classmethod
    def fit(cls, looks: Tensor) -> Self:
        """Find the materials that looks (n, D) of good images show."""
        mean, axes = _axes_of(looks.double().numpy())
        centre, variance, share = _best((looks.double().numpy() - mean) @ axes)
        known = cls(looks.shape[1], len(share))
        values = {
            "mean": mean, "axes": axes, "centre": centre, "variance": variance, "share": share
        }  # fmt: skip
        for name, value in values.items():
            known.get_buffer(name).copy_(torch.from_numpy(value))
        return known

    def forward(self, looks: Tensor) -> Tensor:
        """Return the number of the most probable material of looks (N, D), (N,)."""
        far = ((looks - self.mean) @ self.axes)[:, None] - self.centre  # (N, K, A)
        squared = (far.square() / self.variance).sum(2)
        log_joint = torch.log(self.share) - 0.5 * (squared + torch.log(self.variance).sum(1))
        return log_joint.argmax(1)


def _axes_of(looks: Floats) -> tuple[Floats, Floats]:
    """Return mean (D,) and principal axes (D, A); along the first, images have variance 1."""
    mean = looks.mean(axis=0)
    _, length, axes = np.linalg.svd(looks - mean, full_matrices=False)
    known = min(AXES, len(length))
    kept = np.zeros((looks.shape[1], AXES))
    kept[:, :known] = axes[:known].T * np.sqrt(len(looks)) / max(float(length[0]), 1e-9)
    return mean, kept


def _best(places: Floats) -> tuple[Floats, Floats, Floats]:
    """Return centres, variances and shares of the materials of places (n, A)."""
    best, least = _one(places), np.inf
    for n in range(1, min(MOST_MATERIALS, len(places) // LEAST_IMAGES) + 1):
        found = _mixture(places, n)
        if found is not None and found[0] < least - _GAIN:
            least, best = found
    return best


def _one(places: Floats) -> tuple[Floats, Floats, Floats]:
    variance = places.var(axis=0, keepdims=True) + _LEAST_VARIANCE
    return places.mean(axis=0, keepdims=True), variance, np.ones(1)


def _mixture(places: Floats, n: int) -> tuple[float, tuple[Floats, Floats, Floats]] | None:
    """Return criterion and parameters of a mixture of n; None where it is not clear-cut."""
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(
        n, covariance_type="diag", reg_covar=_LEAST_VARIANCE, n_init=3, random_state=0
    ).fit(places)
    members = np.bincount(mixture.predict(places), minlength=n)
    clear = float(mixture.predict_proba(places).max(axis=1).mean())
    if n > 1 and (members.min() < LEAST_IMAGES or clear < _CLEAR):
        return None
    return float(mixture.bic(places)), (mixture.means_, mixture.covariances_, mixture.weights_)
