"""The fitted image detector as a `DetectorState`, and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from vae_anomaly.data.images.bit_depth import FULL_SCALE
from vae_anomaly.data.images.resize import RESIZER
from vae_anomaly.detectors.images.features.plug_in import (
    refuse_needless,
    restore_plugged,
    storable_config,
    storable_weights,
)
from vae_anomaly.detectors.images.networks.bank import BankNetwork, NetworkSpec
from vae_anomaly.detectors.images.networks.pixels import PixelNetwork
from vae_anomaly.detectors.images.place.foreground import Foreground
from vae_anomaly.detectors.images.place.refinement import Refinement
from vae_anomaly.detectors.images.place.registration import Registration
from vae_anomaly.detectors.images.score import ImageScore
from vae_anomaly.detectors.images.tiles.network import TiledNetwork
from vae_anomaly.errors import ConfigError, ModelRefusedError
from vae_anomaly.persistence import DetectorState
from vae_anomaly.scoring.conformal import ConformalCalibration
from vae_anomaly.thresholds import Threshold
from vae_anomaly.vae.training import History

if TYPE_CHECKING:
    from torch import nn

    from vae_anomaly.detectors.images.detector import ImageVAEDetector
    from vae_anomaly.detectors.images.features.backbone import BackboneBank

BANK_REVISION: Final = 3
"""Raised when maps, votes or nets of ``model="bank"`` change such that older code would mislead."""

_READABLE: Final = (2, 3)  # 2: one map, scored and shown; `NetworkSpec` says so by its defaults


def state_of(detector: ImageVAEDetector) -> DetectorState:
    """Return everything that a model directory has to hold."""
    network = detector.network_
    calibration = {
        "raw_scores": detector.calibration_.reference,
        "heat_level": np.array([detector.heat_level_]),
        **detector.image_score_.state(),
    }
    groups = detector.calibration_groups_
    if groups is not None:
        calibration["reference_groups"] = groups
    if detector.registration_ is not None:
        calibration["registration"] = detector.registration_.reference
    if detector.refinement_ is not None:
        calibration |= detector.refinement_.state()
    if detector.foreground_ is not None:
        calibration["foreground"] = detector.foreground_.mask.astype(np.uint8)
    if detector.latents_ is not None:
        calibration["latents"] = detector.latents_
    tiles = {"tiles": network.to_dict()} if isinstance(network, TiledNetwork) else {}
    return DetectorState(
        kind=detector.kind,
        config=storable_config(detector.get_params()),
        preprocessing={
            "resizer": RESIZER,
            "bank_revision": BANK_REVISION,
            "network": network.spec.to_dict(),
            "random_state": detector.random_state_,
            "conditions": list(detector.conditions_),
            **tiles,
            "white": detector.white_,
        },
        weights=storable_weights(network),
        calibration=calibration,
        threshold=detector.threshold_.to_dict(),
        fingerprint=detector.fingerprint_,
        metrics=detector.metrics_,
    )


def fill_detector(
    detector: ImageVAEDetector, state: DetectorState, features: nn.Module | None = None
) -> None:
    """Give a detector what was learned, of this version or an earlier one.

    ``features`` is the user's module, where the model was trained with one.

    Raises
    ------
    ModelRefusedError
        If the state does not hold what its kind needs.
    """
    _check_preprocessing(state)
    try:
        network = _network(state, features)
        arrays: dict[str, Any] = dict(state.calibration)
        raw_scores, level = arrays.pop("raw_scores"), arrays.pop("heat_level")
        detector.latents_ = arrays.pop("latents", None)  # older models have none
        groups = arrays.pop("reference_groups", None)
        reference, mask = arrays.pop("registration", None), arrays.pop("foreground", None)
        detector.registration_ = None if reference is None else Registration(reference)
        detector.refinement_ = Refinement.from_state(arrays)
        detector.foreground_ = None if mask is None else Foreground(mask.astype(bool))
        detector.image_score_ = ImageScore.from_state(arrays)
    except (KeyError, TypeError, RuntimeError, ConfigError) as err:
        raise ModelRefusedError(
            f"The image model does not hold what its kind needs: {err}. Train it again."
        ) from err
    detector.conditions_ = tuple(state.preprocessing.get("conditions", ()))
    detector.white_ = int(state.preprocessing.get("white", FULL_SCALE))  # older models have none
    detector.random_state_ = int(state.preprocessing["random_state"])
    detector.calibration_ = ConformalCalibration.fit(raw_scores)
    if groups is not None:
        detector.calibration_groups_ = groups
    detector.heat_level_ = float(level[0])
    detector.threshold_ = Threshold.from_dict(state.threshold or {})
    detector.fingerprint_, detector.metrics_ = state.fingerprint, state.metrics
    detector.history_ = History()
    detector._take_network(network)


def _network(
    state: DetectorState, features: nn.Module | None
) -> BankNetwork | PixelNetwork | TiledNetwork:
    """Build the network and fill in its weights."""
    spec = NetworkSpec.from_dict(state.preprocessing["network"])
    if spec.backbone is not None:
        build = partial(_empty_network, state.preprocessing)
        return restore_plugged(spec, spec.backbone, state.weights, features, build)
    refuse_needless(features)
    network = _empty_network(state.preprocessing)
    network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.weights.items()})
    return network.eval()


def _empty_network(
    preprocessing: Mapping[str, Any], bank: BackboneBank | None = None
) -> BankNetwork | PixelNetwork | TiledNetwork:
    if "tiles" in preprocessing:
        return TiledNetwork.from_dict(preprocessing["tiles"], bank)
    spec = NetworkSpec.from_dict(preprocessing["network"])
    return BankNetwork(spec, bank) if spec.kind == "bank" else PixelNetwork(spec)


def _check_preprocessing(state: DetectorState) -> None:
    resizer = state.preprocessing.get("resizer")
    if resizer != RESIZER:
        raise ModelRefusedError(
            f"The image model was trained with the resizer {resizer!r}; this version has "
            f"{RESIZER!r}, and scores would shift. Train it again or install the older version."
        )
    revision = state.preprocessing.get("bank_revision", 1)
    if state.preprocessing.get("network", {}).get("kind") == "bank" and revision not in _READABLE:
        raise ModelRefusedError(
            f"The image model was trained with revision {revision} of the bank; this version has "
            f"revision {BANK_REVISION}, and scores would shift. Train it again or install the "
            "version that trained it."
        )
