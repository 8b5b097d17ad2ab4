"""How far one view's VAE is trusted beside its exemplars, measured on rows it did not train on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vae_anomaly.arrays import Floats32, Ints
from vae_anomaly.detectors.tabular.fit.trust import (
    EVEN_TYPED,
    NO_PREFERENCE,
    kernel_log_density,
    vae_trust,
)
from vae_anomaly.detectors.tabular.model import ViewScorer, evidence_of


class Trust(NamedTuple):
    """How far a VAE is trusted, each in (0, 1): its latents against rows, and its typed ELBO."""

    latents: float
    typed_elbo: float


NOTHING_TO_COMPARE = Trust(NO_PREFERENCE, 1.0)


def trust_in_vae(
    scorer: ViewScorer,
    rows: Floats32,
    known: Floats32,
    places: Ints,
    groups: Ints | None = None,
) -> Trust:
    """Compare the ELBO of held-out rows with their density under a uniform draw of known rows.

    Parameters
    ----------
    scorer : ViewScorer
    rows : ndarray of shape (N, D), float32
        Normal rows, as the view shows them, that the network did not train on.
    known : ndarray of shape (M, D), float32
        The first rows of the fit, shown alike.
    places : ndarray of shape (N,), int64
        Where the rows stand in the fit: no row vouches for itself.
    groups : ndarray of int64, optional
        Groups of the rows of the fit, in order: rows of one group do not vouch for each other.

    Returns
    -------
    trust : Trust
        No preference where there is nothing to compare: the VAE has no ELBO, or it is not a density
        of all features as numbers.
    """
    vae = scorer.vae
    if not vae.has_prior or len(vae.layout.gaussian) < known.shape[1]:
        return NOTHING_TO_COMPARE
    hidden = places[:, None] == np.arange(len(known))
    if groups is not None:
        hidden |= groups[places][:, None] == groups[: len(known)]
    sees = ~hidden.all(axis=1)
    if not sees.any():
        return NOTHING_TO_COMPARE
    elbo = evidence_of(vae, rows[sees], rows[sees]).elbo
    kernel = kernel_log_density(rows[sees], known, hidden[sees])
    d = known.shape[1]
    return Trust(vae_trust(elbo, kernel, d), vae_trust(elbo, kernel, d, EVEN_TYPED))
