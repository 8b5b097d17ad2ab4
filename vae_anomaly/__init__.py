"""Industrial anomaly detection with variational autoencoders.

Importing the package loads neither torch nor mlflow; both come with the first name that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector, load_detector
    from vae_anomaly.thresholds import Threshold

__version__ = "0.1.0"

__all__ = ["ImageVAEDetector", "TabularVAEDetector", "Threshold", "load_detector"]

_HOME = {
    "ImageVAEDetector": "vae_anomaly.detectors",
    "TabularVAEDetector": "vae_anomaly.detectors",
    "Threshold": "vae_anomaly.thresholds",
    "load_detector": "vae_anomaly.detectors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
