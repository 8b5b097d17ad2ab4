"""How far one view's VAE is trusted beside its exemplars, measured on rows it did not train on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vae_anomaly.detectors._tabular_scorer import ViewScorer, evidence_of
from vae_anomaly.scoring.trust import EVEN_TYPED, NO_PREFERENCE, kernel_log_density, vae_trust

__all__ = ["NOTHING_TO_COMPARE", "Trust", "trust_in_vae"]


class Trust(NamedTuple):
    """How far a VAE is trusted, each in (0, 1): its latents against rows, and its typed ELBO."""

    latents: float
    typed_elbo: float


NOTHING_TO_COMPARE = Trust(NO_PREFERENCE, 1.0)


def trust_in_vae(
    scorer: ViewScorer,
    rows: NDArray[np.float32],
    places: NDArray[np.int64],
    groups: NDArray[np.int64] | None = None,
) -> Trust:
    """Compare the ELBO of held-out rows with their density under the exemplars.

    Parameters
    ----------
    scorer : ViewScorer
    rows : ndarray of shape (N, D), float32
        Normal rows, as the view shows them, that the network did not train on.
    places : ndarray of shape (N,), int64
        Where these rows stand among the rows that the exemplars are the first of: no row vouches
        for itself.
    groups : ndarray of int64, optional
        Groups of those rows, in their order: rows of one group do not vouch for each other.

    Returns
    -------
    trust : Trust
        No preference where there is nothing to compare: the VAE has no ELBO, or it is not a density
        of all features as numbers.
    """
    exemplars, vae = scorer.data.vectors, scorer.vae
    if not vae.has_prior or len(vae.layout.gaussian) < exemplars.shape[1]:
        return NOTHING_TO_COMPARE
    hidden = places[:, None] == np.arange(len(exemplars))
    if groups is not None:
        hidden |= groups[places][:, None] == groups[: len(exemplars)]
    sees = ~hidden.all(axis=1)
    if not sees.any():
        return NOTHING_TO_COMPARE
    elbo = evidence_of(vae, rows[sees], rows[sees]).elbo
    kernel = kernel_log_density(rows[sees], exemplars, hidden[sees])
    d = exemplars.shape[1]
    return Trust(vae_trust(elbo, kernel, d), vae_trust(elbo, kernel, d, EVEN_TYPED))
