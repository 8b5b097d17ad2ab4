"""The scikit-learn face: the only place that knows models, scoring and data alike.

A detector's module is imported with the first use of its name: who scores tables loads no image
code.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vae_anomaly.devices import device_name
from vae_anomaly.errors import ConfigError, ModelRefusedError, VaeAnomalyError
from vae_anomaly.lazy import lazy_names
from vae_anomaly.words import reason_of

if TYPE_CHECKING:
    from torch import nn

    from vae_anomaly.detectors.base import BaseVAEDetector
    from vae_anomaly.detectors.images.detector import ImageVAEDetector
    from vae_anomaly.detectors.tabular.detector import TabularVAEDetector

__all__ = ["BaseVAEDetector", "ImageVAEDetector", "TabularVAEDetector", "load_detector"]

_KINDS = ("image", "tabular")
_OTHER_CONTENTS = (
    KeyError, IndexError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError,
    MemoryError,
)  # fmt: skip

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        ".base": ("BaseVAEDetector",),
        ".images.detector": ("ImageVAEDetector",),
        ".tabular.detector": ("TabularVAEDetector",),
    },
)


def load_detector(
    path: str | Path, *, features: nn.Module | None = None, device: str = "cpu"
) -> BaseVAEDetector:
    """Read a fitted detector back from its model directory.

    Parameters
    ----------
    path : str or Path
        A directory that `save` wrote.
    features : torch.nn.Module, optional
        The module that `ImageVAEDetector` was trained with; its code is never stored. Its weights
        must be the same.
    device : {"cpu", "cuda", "cuda:N", "auto"}
        Where a model of images scores, wherever it was trained; "auto" is a GPU where there is
        one. Models of tables compute on the processor.

    Returns
    -------
    detector : TabularVAEDetector or ImageVAEDetector
        Scores as it did before it was saved.

    Raises
    ------
    ModelRefusedError
        If the directory is missing, incomplete, damaged, or of an unknown kind or format version,
        or was trained with another module for ``features``.
    ConfigError
        If ``features`` or a GPU are given to a model of tables, or there is no such device here.
    """
    from vae_anomaly.detectors.parameters import IMAGE, TABULAR, check_saved
    from vae_anomaly.persistence import read_model
    from vae_anomaly.state import from_json
    from vae_anomaly.storage.copies import on_disk

    place = device if device == "cpu" else device_name(device)
    path = on_disk(path)
    state = read_model(path)
    if state.kind not in _KINDS:
        raise ModelRefusedError(
            f"{path} holds a model of kind {state.kind!r}; "
            f"known kinds: {', '.join(_KINDS)}. "
            "Install the version of vae-anomaly that wrote it."
        )
    detector_class = _class_of(state.kind)
    given: dict[str, nn.Module | str] = {} if features is None else {"features": features}
    if state.kind == "image":
        given["device"] = device
    elif given:
        raise ConfigError(f"features= belongs to models of images; {path} is {state.kind}.")
    elif place != "cpu" and device != "auto":
        raise ConfigError(
            f"Models of tables compute on the processor; got device={device!r} for {path}. Leave "
            "it out, or take device='auto'."
        )
    try:
        check_saved(TABULAR if state.kind == "tabular" else IMAGE, state.config)
        detector = detector_class._from_state(state, **given)
        if state.probability is not None:
            from vae_anomaly.scoring.probability import ScoreProbability

            detector.set_probability(ScoreProbability.from_dict(state.probability))
        detector.training_ = state.training
        detector.left_out_confirmed_ = tuple(state.left_out_confirmed)
        if state.baseline is not None:
            from vae_anomaly.monitoring.baseline import Baseline

            detector.baseline_ = Baseline.from_dict(state.baseline)
        if state.left_out:
            from vae_anomaly.scoring.outliers import LeftOut

            detector.left_out_ = tuple(from_json(LeftOut, item) for item in state.left_out)
        if state.recalibrated:
            from vae_anomaly.detectors.recalibration import Recalibration

            made = (from_json(Recalibration, one) for one in state.recalibrated)
            detector.recalibrated_ = tuple(made)
        return detector
    except _OTHER_CONTENTS as err:  # of sound files
        if isinstance(err, ModelRefusedError):
            raise
        raise ModelRefusedError(
            f"{path} lacks something that this version of vae-anomaly needs, or holds what it "
            f"cannot use: {reason_of(err) if isinstance(err, VaeAnomalyError) else repr(err)}. "
            "Load it with the version that wrote it, or train again."
        ) from err


def _class_of(kind: str) -> type[BaseVAEDetector]:
    """Import the detector of a kind, and nothing of the other one."""
    if kind == "image":
        from vae_anomaly.detectors.images.detector import ImageVAEDetector

        return ImageVAEDetector
    from vae_anomaly.detectors.tabular.detector import TabularVAEDetector

    return TabularVAEDetector
