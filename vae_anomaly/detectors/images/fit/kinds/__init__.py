"""Synthetic defects of named kinds, each at given sizes and with one visible contrast.

Unlike `fit.defects`, which makes a mix to learn from, a draw here is one defect of which kind, size
and contrast are known. So what a model finds of them can be said by kind and size.
"""

from __future__ import annotations

from vae_anomaly.detectors.images.fit.kinds.contrast import (
    FAINTEST,
    LEAST_CONTRAST,
    NOISE_MULTIPLE,
    visible_contrast,
)
from vae_anomaly.detectors.images.fit.kinds.kinds import (
    DEFECT_KINDS,
    DefectKind,
    DrawnDefect,
    draw_defect,
    kinds_of,
    one_of_each,
)

__all__ = [
    "DEFECT_KINDS",
    "FAINTEST",
    "LEAST_CONTRAST",
    "NOISE_MULTIPLE",
    "DefectKind",
    "DrawnDefect",
    "draw_defect",
    "kinds_of",
    "one_of_each",
    "visible_contrast",
]
