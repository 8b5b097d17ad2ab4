"""What is asked of a fit: the parameters of `TabularVAEDetector`, and what follows from them.

The members of the family that a table can be modelled with:

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
from typing import Literal, NamedTuple

from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.parameters import TABULAR, faults_of
from vae_anomaly.detectors.warm_start import WarmStart
from vae_anomaly.errors import ConfigError

Score = Literal["fused", "reconstruction", "elbo", "iw_nll", "kl", "latent"]
MAX_LATENTS = 32
_OWNER = "TabularVAEDetector"
PRIOR_SCORES = ("elbo", "iw_nll", "kl")


@dataclass(frozen=True)
class Member:
    """How one member of the family is built and trained."""

    kind: str  # as `vae_anomaly.vae.family.ModelDescription` calls it
    beta: float | None = 2.0  # weight of the KL in training; None where the loss has none
    prior: str = "normal"  # as the description calls it
    stacked: bool = False  # whether all folds and views train as one stacked ensemble
    noise: float = 0.0  # standard deviation of noise on the input; 0 hides random columns instead

    @property
    def has_prior(self) -> bool:
        """Whether there is an ELBO to speak of."""
        return self.kind != "autoencoder"


TABLE_MEMBERS: Mapping[str, Member] = {
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


class Preset(NamedTuple):
    """Which views a detector has of a table, and how many exemplars it keeps."""

    views: tuple[str, ...]
    n_latents: int
    n_rows: int


PRESETS: Mapping[str, Preset] = {
    "fast": Preset(("arg",), 4_096, 8_960),
    "default": Preset(("std", "arg"), 4_096, 8_960),
    "thorough": Preset(("std", "arg"), 10_000, 10_000),
}


@dataclass(frozen=True)
class TableSettings:
    """The parameters of `TabularVAEDetector`, which says what they mean."""

    score: Score
    preset: str
    model: str
    condition: str | None
    schema: Schema | None
    column_kinds: Mapping[str, str] | None
    latent_dim: int | None
    hidden: int
    beta: float | None
    max_steps: int | None
    memory: int | None
    contamination: float
    target_fpr: float
    outliers: Literal["drop", "keep"]
    random_state: int | None
    seed: int = 0  # of the training; drawn from `random_state`
    start: WarmStart | None = None  # weights to begin with

    @property
    def member(self) -> Member:
        """How the chosen member is built and trained."""
        return TABLE_MEMBERS[self.model]

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views; the last one is the one whose likelihood is reported."""
        return PRESETS[self.preset].views

    @property
    def memory_sizes(self) -> tuple[int, int]:
        """Exemplars in latent and in data space."""
        _, n_latents, n_rows = PRESETS[self.preset]
        if self.memory is None:
            return n_latents, n_rows
        return int(self.memory * n_latents / n_rows), int(self.memory)

    @property
    def kl_weight(self) -> float:
        """Weight of the KL in training: what was given, else the member's own."""
        return self._own_weight if self.beta is None else self.beta

    @property
    def has_heavy_kl(self) -> bool:
        """Whether the weight of the KL is above the member's own."""
        return self.kl_weight > self._own_weight

    @property
    def _own_weight(self) -> float:
        return 1.0 if self.member.beta is None else self.member.beta

    @property
    def declared(self) -> set[str]:
        """Columns of which the user said what they are."""
        known = () if self.schema is None else [column.name for column in self.schema.features]
        return {*known, *(self.column_kinds or {})}

    def latents(self, n_features: int) -> int:
        """Return the number of latents for a number of features."""
        return self.latent_dim or max(2, min(n_features, MAX_LATENTS))


def check_parameters(settings: TableSettings) -> None:
    """Raise one `ConfigError` of all parameters that have no meaning, alone or beside others."""
    faults = faults_of(TABULAR, vars(settings), _OWNER)
    wrong = list(faults.values())
    if "model" not in faults:
        wrong += _condition_faults(settings.model, settings.condition)
        wrong += _member_faults(settings)
    if wrong:
        raise ConfigError(" ".join(wrong))


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


def _member_faults(settings: TableSettings) -> list[str]:
    """Say what the chosen member has not: a KL to weigh, or a prior."""
    faults, member = [], settings.member
    if member.beta is None and settings.beta is not None:
        faults.append(
            f"The 'beta' parameter of {_OWNER} has no meaning for model={settings.model!r}, whose "
            f"loss has no KL to weigh. Got {settings.beta!r}. Leave it out, or use model='beta'."
        )
    if not member.has_prior and settings.score in PRIOR_SCORES:
        faults.append(
            f"score={settings.score!r} needs a prior, which model={settings.model!r} has not. "
            "Use score='fused', 'latent' or 'reconstruction', or another model."
        )
    return faults
