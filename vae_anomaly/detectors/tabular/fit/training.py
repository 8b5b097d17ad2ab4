"""How the networks of a fold train: for how long, and what is hidden from them."""

from __future__ import annotations

import numpy as np
import torch

from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.settings import TableSettings
from vae_anomaly.vae.training import TrainingConfig

MASKED_ROWS = 0.5
LARGEST_MASK = 0.8


class ColumnMask:
    """Hide random columns from the encoder: half of the rows lose up to 80 % of theirs.

    Parameters
    ----------
    encoder : TableEncoder
        All features of a column are hidden together.
    sees_mask : bool
        Whether the encoder is told what is hidden.
    shown : int, optional
        A column that is never hidden.
    """

    def __init__(self, encoder: TableEncoder, *, sees_mask: bool, shown: int | None = None) -> None:
        self.shown = shown
        self.n_columns, self.sees_mask = len(encoder.columns), sees_mask
        owners = [feature.owners for feature in encoder.features]
        self.first = torch.tensor([owner[0] for owner in owners])
        self.last = torch.tensor([owner[-1] for owner in owners])

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return rows (N, K, D) with hidden features 0, and with the mask where it is seen."""
        n = len(x)
        masked = torch.rand(n, 1, generator=generator) < MASKED_ROWS
        rate = torch.rand(n, 1, generator=generator) * LARGEST_MASK * masked
        hidden = torch.rand(n, self.n_columns, generator=generator) < rate
        if self.shown is not None:
            hidden[:, self.shown] = False
        lost = (hidden[:, self.first] | hidden[:, self.last]).unsqueeze(1)  # (N, 1, D)
        kept = torch.where(lost, torch.zeros(()), x)
        return torch.cat([kept, lost.expand_as(x).float()], dim=-1) if self.sees_mask else kept


def training_config(n_rows: int, n_features: int, settings: TableSettings) -> TrainingConfig:
    """Return how long and how fast the networks of one detector train."""
    batch = 64 if n_features > 200 else 128
    steps = settings.max_steps
    if steps is None:
        longest = 250 if n_features > 400 else 300
        steps = int(np.clip(60 * n_rows / batch, 250, longest))
    return TrainingConfig(
        max_steps=steps,
        batch_size=batch,
        lr=4e-3,
        weight_decay=1e-3,
        lr_warmup_steps=min(30, steps // 2),
        lr_schedule="cosine",
        beta=settings.kl_weight,
        kl_schedule="linear",
        kl_warmup_steps=steps // 5,
        clip_norm=10.0,
        patience=2,
        eval_every=max(1, min(50, steps)),
        min_steps=steps // 2,
        random_state=settings.seed,
    )
