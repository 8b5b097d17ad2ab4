"""Industrial anomaly detection with variational autoencoders.

Importing the package loads neither torch nor mlflow; both come with the first name that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_anomaly.lazy import lazy_names
from vae_anomaly.version import __version__ as __version__

if TYPE_CHECKING:
    from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector, load_detector
    from vae_anomaly.thresholds import Threshold

__all__ = ["ImageVAEDetector", "TabularVAEDetector", "Threshold", "load_detector"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        ".detectors": ("ImageVAEDetector", "TabularVAEDetector", "load_detector"),
        ".thresholds": ("Threshold",),
    },
)
