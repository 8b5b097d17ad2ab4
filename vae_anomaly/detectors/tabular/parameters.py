"""What a user may ask of the table detector, checked in one place."""

from __future__ import annotations

from vae_anomaly.detectors.parameters import TABULAR, faults_of
from vae_anomaly.detectors.tabular.settings import TableSettings
from vae_anomaly.errors import ConfigError

OWNER = "TabularVAEDetector"
PRIOR_SCORES = ("elbo", "iw_nll", "kl")


def check_parameters(settings: TableSettings) -> None:
    """Collect every parameter that cannot be used, then raise once.

    Raises
    ------
    ConfigError
        If a parameter has no meaning, alone or beside the others.
    """
    faults = faults_of(TABULAR, vars(settings), OWNER)
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
            f"The 'beta' parameter of {OWNER} has no meaning for model={settings.model!r}, whose "
            f"loss has no KL to weigh. Got {settings.beta!r}. Leave it out, or use model='beta'."
        )
    if not member.has_prior and settings.score in PRIOR_SCORES:
        faults.append(
            f"score={settings.score!r} needs a prior, which model={settings.model!r} has not. "
            "Use score='fused', 'latent' or 'reconstruction', or another model."
        )
    return faults
