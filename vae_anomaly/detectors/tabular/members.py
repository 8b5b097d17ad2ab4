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

from vae_anomaly.data.tables.kinds import did_you_mean


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
_NOT_FOR_TABLES = {
    "semi_supervised": (
        "It learns classes from labels, and this detector is fitted on normal rows without any. "
        "Use model='conditional' with condition= for a column that is always known, or train "
        "vae_anomaly.vae.semi_supervised yourself."
    ),
    "vq": (
        "Its codes lie on a grid that convolutions make, and a row has no grid. "
        "Use model='mixture' for rows that fall into clusters."
    ),
}
PRIOR_SCORES = ("elbo", "iw_nll", "kl")


def beta_of(model: str, beta: float | None) -> float:
    """Return the weight of the KL in training: what was given, else the member's own."""
    own = MEMBERS[model].beta
    if beta is not None:
        return beta
    return 1.0 if own is None else own


def member_faults(
    model: str, condition: str | None, beta: float | None, score: str, owner: str
) -> list[str]:
    """Return what is wrong with the choice of a member, one sentence a fault.

    Parameters
    ----------
    model, condition, beta, score
        Parameters of the detector.
    owner : str
        Its name, for the message.
    """
    if model in _NOT_FOR_TABLES:
        return [f"model={model!r} does not suit a table. {_NOT_FOR_TABLES[model]}"]
    if model not in MEMBERS:
        return [
            f"The 'model' parameter of {owner} must be one of {', '.join(MEMBERS)}. "
            f"Got {model!r}{did_you_mean(str(model), MEMBERS)}."
        ]
    return [
        *_condition_faults(model, condition),
        *_beta_faults(model, beta, owner),
        *_score_faults(model, score),
    ]


def _condition_faults(model: str, condition: str | None) -> list[str]:
    if model == "conditional" and condition is None:
        return [
            "model='conditional' needs to know the column that rows are compared within; got "
            "condition=None. Pass for example condition='product' (--condition product)."
        ]
    if model != "conditional" and condition is not None:
        return [
            f"Only model='conditional' takes a condition; got condition={condition!r} with "
            f"model={model!r}. Set model='conditional', or leave the condition out."
        ]
    return []


def _beta_faults(model: str, beta: float | None, owner: str) -> list[str]:
    if beta is None:
        return []
    if MEMBERS[model].beta is None:
        return [
            f"The 'beta' parameter of {owner} has no meaning for model={model!r}, whose loss has "
            f"no KL to weigh. Got {beta!r}. Leave it out, or use model='beta'."
        ]
    if beta <= 0:
        return [
            f"The 'beta' parameter of {owner} must be a number > 0: without KL it is no VAE. "
            f"Got {beta!r}. For no KL at all use model='autoencoder'."
        ]
    return []


def _score_faults(model: str, score: str) -> list[str]:
    if not MEMBERS[model].has_prior and score in PRIOR_SCORES:
        return [
            f"score={score!r} needs a prior, which model={model!r} has not. "
            "Use score='fused', 'latent' or 'reconstruction', or another model."
        ]
    return []
