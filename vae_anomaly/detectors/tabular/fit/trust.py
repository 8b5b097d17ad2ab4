"""How far to trust a VAE beside its exemplars: whichever explains new normals better.

Two densities look at the same held-out normal rows: the VAE's (its ELBO) and that of the exemplars
(a Gaussian kernel on every training row). Where the VAE explains them at least as well, the data
lie near the manifold that it found, and its latents tell what is odd. Where the kernel is far
ahead, the density is local in a way that the VAE has smoothed over, and distances to rows tell
more. No label and no synthetic anomaly is used.

The trust is a smooth step in the median difference, nats per feature; a few rows far from all else
would decide a mean. An even weight is reached where the kernel leads by `EVEN`, since an ELBO is a
bound and a kernel is exact. An ELBO under a likelihood of the columns' own kinds knows what this
comparison of numbers does not, and loses its vote later, where the kernel leads by `EVEN_TYPED`.
"""

from __future__ import annotations

from math import exp, log, pi, sqrt
from typing import NamedTuple

import numpy as np
import torch

from vae_anomaly.arrays import Bools, Floats, Floats32, Ints
from vae_anomaly.detectors.tabular.network import RowNetwork, evidence_of

NO_PREFERENCE = 0.5
EVEN = 0.3  # nats per feature by which the kernel leads where both are trusted alike
EVEN_TYPED = 0.9  # the same for the vote of a typed ELBO
WIDTH = 0.2  # nats per feature, of the step
BANDWIDTHS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)  # of the typical distance of 5 neighbours
SMALLEST_BANDWIDTH = 0.05  # as the smallest sigma of a decoder
_NEIGHBOURS = 5


class Trust(NamedTuple):
    """How far a VAE is trusted, each in (0, 1): its latents against rows, and its typed ELBO."""

    latents: float
    typed_elbo: float


NOTHING_TO_COMPARE = Trust(NO_PREFERENCE, 1.0)


def trust_in_vae(
    network: RowNetwork,
    rows: Floats32,
    known: Floats32,
    places: Ints,
    groups: Ints | None = None,
) -> Trust:
    """Compare the ELBO of held-out rows with their density under a uniform draw of known rows.

    Rows (N, D) are normal, and the network did not train on them; ``known`` (M, D) are the first
    rows of the fit, and ``places`` (N,) say where the rows stand in it: no row vouches for itself,
    nor for its group. There is no preference where there is nothing to compare: the VAE has no
    ELBO, or it is not a density of all features as numbers.
    """
    if not network.has_prior or len(network.layout.gaussian) < known.shape[1]:
        return NOTHING_TO_COMPARE
    hidden = places[:, None] == np.arange(len(known))
    if groups is not None:
        hidden |= groups[places][:, None] == groups[: len(known)]
    sees = ~hidden.all(axis=1)
    if not sees.any():
        return NOTHING_TO_COMPARE
    elbo = evidence_of(network, rows[sees], rows[sees]).elbo
    kernel = kernel_log_density(rows[sees], known, hidden[sees])
    d = known.shape[1]
    return Trust(vae_trust(elbo, kernel, d), vae_trust(elbo, kernel, d, EVEN_TYPED))


def vae_trust(elbo: Floats, kernel: Floats, n_features: int, even: float = EVEN) -> float:
    """Return the weight of a VAE's evidence against that of the exemplars, in (0, 1).

    ``elbo`` and ``kernel``, nats, are log densities of the same held-out normal rows, sums over the
    features. ``even`` is the lead of the kernel, nats per feature, at which the trust is 0.5.
    """
    lead = float(np.median(elbo - kernel)) / n_features
    return 1.0 / (1.0 + exp(-min(max((lead + even) / WIDTH, -50.0), 50.0)))


@torch.inference_mode()
def kernel_log_density(rows: Floats32, exemplars: Floats32, hidden: Bools) -> Floats:
    """Return the log density of rows (N, D) under a Gaussian kernel on every exemplar (M, D), nats.

    ``hidden`` (N, M) are exemplars that a row must not see: itself, and its group; never all of
    them. The bandwidth is the one, of 8, that is the best for the median row.
    """
    squared = torch.cdist(torch.from_numpy(rows), torch.from_numpy(exemplars)).square()
    squared[torch.from_numpy(hidden)] = torch.inf
    n_visible = torch.from_numpy(hidden.shape[1] - hidden.sum(axis=1)).double()
    unit = _typical_distance(squared) / sqrt(rows.shape[1])
    densities = [
        _at_bandwidth(squared, n_visible, max(SMALLEST_BANDWIDTH, share * unit), rows.shape[1])
        for share in BANDWIDTHS
    ]
    return max(densities, key=lambda density: float(np.median(density)))


def _typical_distance(squared: torch.Tensor) -> float:
    nearest = squared.topk(min(_NEIGHBOURS, squared.shape[1]), dim=1, largest=False).values
    finite = nearest[torch.isfinite(nearest).all(1)]  # some see fewer than 5
    return float(finite.sqrt().mean(1).median()) if len(finite) else 0.0


def _at_bandwidth(
    squared: torch.Tensor, n_visible: torch.Tensor, h: float, n_features: int
) -> Floats:
    kernels = torch.logsumexp(-0.5 * squared.double() / h**2, dim=1)
    constant = n_features * (log(h) + 0.5 * log(2.0 * pi))
    return np.asarray((kernels - torch.log(n_visible) - constant).numpy(), dtype=np.float64)
