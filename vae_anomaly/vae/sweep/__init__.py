"""What beta and the latent size do to one network on your normal data, beside the autoencoder.

::

    sweep(train, held_out, SweepGrid(betas=(0.5, 1, 4), latent_dims=(2, 8)))

Every model of one latent size starts from the same weights and sees the same batches for the same
number of steps; what is measured is measured on samples that none of them saw.
"""

from __future__ import annotations

from vae_anomaly.vae.sweep.report import SweepCell, SweepGrid, SweepReport, SweepSettings
from vae_anomaly.vae.sweep.run import sweep

__all__ = ["SweepCell", "SweepGrid", "SweepReport", "SweepSettings", "sweep"]
