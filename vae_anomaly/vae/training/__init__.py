"""One training loop for every model.

`fit_vae` is the loop, `TrainingConfig` what can be chosen, `History` what happened; `steps` has the
batches, the optimizer and the checkpoint (kill and resume).
"""

from __future__ import annotations

from vae_anomaly.vae.training.config import TrainingConfig
from vae_anomaly.vae.training.loop import History, fit_vae

__all__ = ["History", "TrainingConfig", "fit_vae"]
