"""How much work training on pictures is, and how a network is trained with so much work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from vae_anomaly.vae.training import TrainingConfig


@dataclass(frozen=True)
class Preset:
    """How much work training is.

    Parameters
    ----------
    n_networks : int
        Repair VAEs, cross-fitted; 0 leaves the linear level alone.
    copies : int
        Corrupted copies of each picture.
    passes : float
        How often each picture is seen, clean or corrupted, by each network.
    min_steps, max_steps : int
        Bounds for the number of optimisation steps of each network.
    batch_size : int
    width : int
        Channels of the repair VAEs.
    precision : {"float32", "bf16"}
        Of training.
    """

    n_networks: int = 2
    copies: int = 3
    passes: float = 36.0
    min_steps: int = 120
    max_steps: int = 1000
    batch_size: int = 32
    width: int = 16
    precision: Literal["float32", "bf16"] = "float32"

    def steps(self, n_pictures: int) -> int:
        """Return the optimisation steps for so many pictures."""
        wanted = int(self.passes * n_pictures / self.batch_size)
        return int(np.clip(wanted, self.min_steps, self.max_steps))


PRESETS: Final = {
    "fast": Preset(n_networks=0, copies=1),
    "default": Preset(),
    "thorough": Preset(4, copies=6, width=32),
}


def training_config(
    preset: Preset, n_pictures: int, random_state: int, decay: float | None = 0.99
) -> TrainingConfig:
    """Return how a network is trained on so many pictures."""
    steps = preset.steps(n_pictures)
    return TrainingConfig(
        max_steps=steps,
        batch_size=preset.batch_size,
        lr=2e-3,
        weight_decay=1e-3,
        lr_schedule="cosine",
        kl_schedule="linear",
        kl_warmup_steps=steps // 4,
        clip_norm=5.0,
        ema_decay=decay,
        patience=4,
        eval_every=max(20, steps // 10),
        random_state=random_state,
        precision=preset.precision,
    )
