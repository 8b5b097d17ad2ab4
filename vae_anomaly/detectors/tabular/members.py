"""The members of the family that a table can be modelled with, and their defaults.

=====================  ===============================================================  =====
model                  what differs                                                     beta
=====================  ===============================================================  =====
"vae"                  the default; random columns are hidden from the encoder          2
"beta"                 the same network under a stronger KL                             4
"denoising"            Gaussian noise of 0.1 standard deviations instead of the hiding  2
"conditional"          told the value of one column, the `condition`                    1
"ladder"               two layers of latents, the upper one a prior of the lower        1
"autoencoder"          no prior and no KL: the baseline                                 none
"importance_weighted"  trained on the bound with 8 draws                                none
"mixture"              prior of 20 Gaussians, learned                                   1
"vamp"                 prior made of the posteriors of 20 learned rows                  1
=====================  ===============================================================  =====
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Score = Literal["fused", "reconstruction", "elbo", "iw_nll", "kl", "latent"]


@dataclass(frozen=True)
class Member:
    """How one member of the family is built and trained.

    Parameters
    ----------
    kind : str
        As `vae_anomaly.vae.family.ModelDescription` calls it.
    beta : float or None
        Default weight of the KL in training; None where the loss has no such weight.
    prior : str
        As the description calls it.
    stacked : bool
        Whether all folds and views train as one stacked ensemble.
    noise : float
        Standard deviation of the noise on the input; 0 hides random columns instead.
    """

    kind: str
    beta: float | None = 2.0
    prior: str = "normal"
    stacked: bool = False
    noise: float = 0.0

    @property
    def has_prior(self) -> bool:
        """Whether there is an ELBO to speak of."""
        return self.kind != "autoencoder"


MEMBERS: Mapping[str, Member] = {
    "vae": Member("vae", stacked=True),
    "beta": Member("beta", beta=4.0, stacked=True),
    "denoising": Member("denoising", stacked=True, noise=0.1),
    "conditional": Member("conditional", beta=1.0),
    "ladder": Member("ladder", beta=1.0),
    "autoencoder": Member("autoencoder", beta=None),
    "importance_weighted": Member("importance_weighted", beta=None),
    "mixture": Member("vae", beta=1.0, prior="mixture"),
    "vamp": Member("vae", beta=1.0, prior="vamp"),
}
