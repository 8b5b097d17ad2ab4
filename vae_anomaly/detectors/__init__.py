"""The scikit-learn face: the only place that knows models, scoring and data alike."""

from __future__ import annotations

from pathlib import Path

from vae_anomaly.detectors.base import BaseVAEDetector
from vae_anomaly.detectors.image import ImageVAEDetector
from vae_anomaly.detectors.tabular import TabularVAEDetector
from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.persistence import read_model

__all__ = ["BaseVAEDetector", "ImageVAEDetector", "TabularVAEDetector", "load_detector"]

KINDS: dict[str, type[BaseVAEDetector]] = {
    "image": ImageVAEDetector,
    "tabular": TabularVAEDetector,
}


def load_detector(path: str | Path) -> BaseVAEDetector:
    """Read a fitted detector back from its model directory.

    Parameters
    ----------
    path : str or Path
        A directory that `save` wrote.

    Returns
    -------
    detector : TabularVAEDetector or ImageVAEDetector
        Scores as it did before it was saved.

    Raises
    ------
    ModelRefusedError
        If the directory is missing, incomplete, damaged, or of an unknown kind or format version.
    """
    state = read_model(path)
    if state.kind not in KINDS:
        raise ModelRefusedError(
            f"{path} holds a model of kind {state.kind!r}; known kinds: {', '.join(sorted(KINDS))}. "
            "Install the version of vae-anomaly that wrote it."
        )
    return KINDS[state.kind]._from_state(state)
