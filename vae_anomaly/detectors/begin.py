"""Let a training begin with the weights of an earlier model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.utils.validation import check_is_fitted

from vae_anomaly.errors import ModelRefusedError

if TYPE_CHECKING:
    from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector
    from vae_anomaly.detectors.protocol import AnyDetector
    from vae_anomaly.detectors.warm_start import WarmStart


def begin_with(
    detector: TabularVAEDetector | ImageVAEDetector,
    earlier: AnyDetector,
    label: str = "the earlier model",
) -> None:
    """Let the next fits of a detector begin with the weights of an earlier one built alike.

    What else the earlier one has learned is not taken over, and it is not changed.

    Parameters
    ----------
    detector : TabularVAEDetector or ImageVAEDetector
        Not fitted yet.
    earlier : TabularVAEDetector or ImageVAEDetector
        Fitted, of the same kind.
    label : str
        What messages call it.

    Raises
    ------
    ModelRefusedError
        If it is of another kind, or has no trained weights. ``fit`` refuses one whose columns,
        sizes or layers differ, and names them.
    """
    check_is_fitted(earlier, "calibration_")
    if earlier.kind != detector.kind:
        raise ModelRefusedError(
            f"{label} is of kind {earlier.kind}, and a training of kind {detector.kind} cannot "
            "begin with its weights. Choose another one, or train without --warm-start."
        )
    detector.start_ = _weights_of(earlier, label)


def _weights_of(earlier: AnyDetector, label: str) -> WarmStart:
    from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector

    if isinstance(earlier, TabularVAEDetector):
        from vae_anomaly.detectors.tabular.start import weights_of_table

        return weights_of_table(earlier.model_, earlier.model, earlier.condition, label)
    from vae_anomaly.detectors.images.start import weights_of_images

    assert isinstance(earlier, ImageVAEDetector)  # noqa: S101 - there are no more
    return weights_of_images(earlier.network_, earlier.conditions_, label)
