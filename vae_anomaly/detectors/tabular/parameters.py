"""What the parameters of `TabularVAEDetector` may be, and what they make of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vae_anomaly.detectors.tabular.members import beta_of, member_faults
from vae_anomaly.detectors.tabular.settings import FitOptions
from vae_anomaly.errors import ConfigError

if TYPE_CHECKING:
    from vae_anomaly.detectors.tabular.detector import TabularVAEDetector

SCORES = ("fused", "reconstruction", "elbo", "iw_nll", "kl", "latent")
MIN_MEMORY = 100
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
    rules: dict[str, tuple[bool, str]] = {
        "score": (d.score in SCORES, f"one of {', '.join(SCORES)}"),
        "preset": (d.preset in PRESETS, f"one of {', '.join(PRESETS)}"),
        "latent_dim": (d.latent_dim is None or d.latent_dim >= 1, "an int >= 1 or None"),
        "hidden": (d.hidden >= 1, "an int >= 1"),
        "max_steps": (d.max_steps is None or d.max_steps >= 1, "an int >= 1 or None"),
        "memory": (
            d.memory is None or (d.memory >= MIN_MEMORY and d.memory % 1 == 0),
            f"an int >= {MIN_MEMORY} or None",
        ),
        "contamination": (0 <= d.contamination < 0.5, "a number in [0, 0.5)"),
        "target_fpr": (0 < d.target_fpr < 1, "a number in (0, 1)"),
    }
    wrong = [
        f"The {name!r} parameter of {type(d).__name__} must be {wanted}. Got {getattr(d, name)!r}."
        for name, (fine, wanted) in rules.items()
        if not fine
    ]
    wrong += member_faults(d.model, d.condition, d.beta, d.score, type(d).__name__)
    if wrong:
        raise ConfigError(" ".join(wrong))
