"""What the parameters of `TabularVAEDetector` may be, and what they make of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vae_anomaly.detectors.parameters import TABULAR, faults_of
from vae_anomaly.detectors.tabular.members import MEMBERS, beta_of
from vae_anomaly.detectors.tabular.settings import FitOptions
from vae_anomaly.errors import ConfigError

if TYPE_CHECKING:
    from vae_anomaly.detectors.tabular.detector import TabularVAEDetector

PRIOR_SCORES = ("elbo", "iw_nll", "kl")
PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"views": ("arg",), "memory_sizes": (4_096, 8_960)},
    "default": {"views": ("std", "arg"), "memory_sizes": (4_096, 8_960)},
    "thorough": {"views": ("std", "arg"), "memory_sizes": (10_000, 10_000)},
}


def fit_options(d: TabularVAEDetector, rng: np.random.Generator) -> FitOptions:
    """Return how the networks and memories of a detector are made."""
    chosen = PRESETS[d.preset]
    return FitOptions(
        views=chosen["views"],
        memory_sizes=memory_sizes(d.preset, d.memory),
        hidden=d.hidden,
        latent_dim=d.latent_dim,
        beta=beta_of(d.model, d.beta),
        model=d.model,
        condition=d.condition,
        contamination=d.contamination,
        score=d.score,
        max_steps=d.max_steps,
        seed=int(rng.integers(2**31)),
    )


def memory_sizes(preset: str, memory: int | None) -> tuple[int, int]:
    """Return how many exemplars are kept in latent and in data space."""
    n_latent, n_data = PRESETS[preset]["memory_sizes"]
    return (n_latent, n_data) if memory is None else (int(memory * n_latent / n_data), int(memory))


def check_parameters(d: TabularVAEDetector) -> None:
    """Collect every parameter that cannot be used, then raise once.

    Raises
    ------
    ConfigError
    """
    owner = type(d).__name__
    faults = faults_of(TABULAR, d.get_params(deep=False), owner)
    wrong = list(faults.values())
    if "model" not in faults:
        wrong += _condition_faults(d.model, d.condition)
        wrong += _member_faults(d.model, d.beta, d.score, owner)
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


def _member_faults(model: str, beta: float | None, score: str, owner: str) -> list[str]:
    """Say what the chosen member has not: a KL to weigh, or a prior."""
    faults, member = [], MEMBERS[model]
    if member.beta is None and beta is not None:
        faults.append(
            f"The 'beta' parameter of {owner} has no meaning for model={model!r}, whose loss has "
            f"no KL to weigh. Got {beta!r}. Leave it out, or use model='beta'."
        )
    if not member.has_prior and score in PRIOR_SCORES:
        faults.append(
            f"score={score!r} needs a prior, which model={model!r} has not. "
            "Use score='fused', 'latent' or 'reconstruction', or another model."
        )
    return faults
