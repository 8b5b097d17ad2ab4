"""The fitted image detector as a `DetectorState`, and back: this version's, and earlier ones'."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from vae_anomaly.arrays import Arrays, Ints
from vae_anomaly.data.images.resize import RESIZER
from vae_anomaly.data.images.white import FULL_SCALE
from vae_anomaly.detectors.images.features.backbone import BackboneBank
from vae_anomaly.detectors.images.features.plug_in import (
    refuse_needless,
    restore_plugged,
    storable_config,
    storable_weights,
)
from vae_anomaly.detectors.images.fit.prediction import Prediction
from vae_anomaly.detectors.images.model import ImageModel, ImageNetwork
from vae_anomaly.detectors.images.networks.bank import BankNetwork, NetworkSpec
from vae_anomaly.detectors.images.networks.pixels import PixelNetwork
from vae_anomaly.detectors.images.place.bit_depth import BitDepth
from vae_anomaly.detectors.images.place.placing import Foreground, Placing
from vae_anomaly.detectors.images.place.registration import Refinement, Registration
from vae_anomaly.detectors.images.score.earlier import score_from_state
from vae_anomaly.detectors.images.tiles.network import TiledNetwork
from vae_anomaly.errors import ConfigError, DataError, ModelRefusedError
from vae_anomaly.persistence import DetectorState
from vae_anomaly.scoring.conformal import ConformalCalibration
from vae_anomaly.state import Json
from vae_anomaly.thresholds import Threshold
from vae_anomaly.words import reason_of

BANK_REVISION: Final = 4
"""Raised when maps, votes or nets of ``model="bank"`` change such that older code would mislead."""

_READABLE: Final = (2, 3, 4)  # as `NetworkSpec.from_dict` knows; 2: one map, scored and shown

_ON_DISK: Final = {
    "images": "pictures",
    "n_images": "n_pictures",
    "tiles_per_image": "tiles_per_picture",
}
"""What fingerprint and metrics are called in a model directory: its names are those of format 1."""


def state_of(
    model: ImageModel,
    parameters: Mapping[str, Any],
    calibration: ConformalCalibration,
    groups: Ints | None,
    threshold: Threshold,
    fingerprint: dict[str, Any],
    metrics: dict[str, float],
) -> DetectorState:
    """Return everything that a model directory has to hold.

    ``parameters`` are the constructor's, ``groups`` those of the calibration's reference.
    """
    network = model.network
    tiles = {"tiles": network.to_dict()} if isinstance(network, TiledNetwork) else {}
    arrays = {"raw_scores": calibration.reference, **_arrays_of(model)}
    return DetectorState(
        kind="image",
        config=storable_config(parameters),
        preprocessing={
            "resizer": RESIZER,
            "bank_revision": BANK_REVISION,
            "network": network.spec.to_dict(),
            "random_state": model.random_state,
            "conditions": list(model.conditions),
            **tiles,
            **({"features_why": model.features_why} if model.features_why else {}),
            "white": model.placing.depth.white,
            "bits": model.placing.depth.bits,
        },
        weights=storable_weights(network, network.spec.backbone),
        calibration=arrays if groups is None else arrays | {"reference_groups": groups},
        threshold=threshold.to_dict(),
        fingerprint={_ON_DISK.get(name, name): value for name, value in fingerprint.items()},
        metrics={_ON_DISK.get(name, name): value for name, value in metrics.items()},
    )


def facts_of(state: DetectorState) -> tuple[Json, dict[str, float]]:
    """Return the fingerprint and the metrics that were saved."""
    names = {on_disk: name for name, on_disk in _ON_DISK.items()}
    fingerprint = {names.get(name, name): value for name, value in state.fingerprint.items()}
    return fingerprint, {names.get(name, name): value for name, value in state.metrics.items()}


def _arrays_of(model: ImageModel) -> Arrays:
    """Return what `_placing` and `model_of` read back."""
    placing = model.placing
    arrays: Arrays = {"heat_level": np.array([model.heat_level]), **model.score.state()}
    if placing.registration is not None:
        arrays["registration"] = placing.registration.reference
    if placing.refinement is not None:
        arrays |= _arrays_of_refinement(placing.refinement)
    if placing.foreground is not None:
        arrays["foreground"] = placing.foreground.mask.astype(np.uint8)
    if model.latents is not None:
        arrays["latents"] = model.latents
    if model.prediction is not None:
        arrays |= model.prediction.state()
    return arrays


def _arrays_of_refinement(refinement: Refinement) -> Arrays:
    place = np.array([*refinement.corner, *refinement.size, refinement.reduced], np.int64)
    return {"refinement": refinement.registration.reference, "refinement_place": place}


def _refinement(arrays: Arrays) -> Refinement | None:
    if "refinement" not in arrays:
        return None
    top, left, height, width, reduced = arrays["refinement_place"].tolist()
    return Refinement(Registration(arrays["refinement"]), (top, left), (height, width), reduced)


def model_of(state: DetectorState, features: nn.Module | None = None) -> ImageModel:
    """Build the model that was saved, by this version or an earlier one.

    ``features`` is the user's module, where the model was trained with one.

    Raises
    ------
    ModelRefusedError
        If the state does not hold what its kind needs.
    """
    _check_preprocessing(state)
    try:
        network = _network(state, features)
        return ImageModel(
            network=network,
            score=score_from_state(state.calibration),
            placing=_placing(state),
            heat_level=float(state.calibration["heat_level"][0]),
            random_state=int(state.preprocessing["random_state"]),
            conditions=_conditions(state.preprocessing, network),
            latents=state.calibration.get("latents"),  # older models have none
            prediction=Prediction.from_state(state.calibration),
            features_why=str(state.preprocessing.get("features_why", "")),
        )
    except (
        KeyError, TypeError, AttributeError, ArithmeticError, RuntimeError, ConfigError, DataError,
    ) as err:  # fmt: skip
        raise _refused(err) from err


def calibration_of(state: DetectorState) -> tuple[ConformalCalibration, Ints | None]:
    """Return the calibration that was saved, and the groups of its reference."""
    if "raw_scores" not in state.calibration:
        raise _refused(KeyError("raw_scores"))
    scores = state.calibration["raw_scores"]
    return ConformalCalibration.fit(scores), state.calibration.get("reference_groups")


def _placing(state: DetectorState) -> Placing:
    arrays = state.calibration
    reference, mask = arrays.get("registration"), arrays.get("foreground")
    return Placing(
        BitDepth(  # older models have none, or the white alone
            int(state.preprocessing.get("white", FULL_SCALE)), state.preprocessing.get("bits")
        ),
        None if reference is None else Registration(reference),
        _refinement(arrays),
        None if mask is None else Foreground(mask.astype(bool)),
    )


def _network(state: DetectorState, features: nn.Module | None) -> ImageNetwork:
    """Build the network and fill in its weights."""
    spec = NetworkSpec.from_dict(state.preprocessing["network"])
    if spec.backbone is not None:
        build = partial(_empty_network, state.preprocessing)
        size, channels = spec.image_size, spec.channels
        return restore_plugged(spec.backbone, size, channels, state.weights, features, build)
    refuse_needless(features)
    network = _empty_network(state.preprocessing)
    network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.weights.items()})
    return network.eval()


def _conditions(preprocessing: Mapping[str, Any], network: ImageNetwork) -> tuple[str, ...]:
    """Return the names of the conditions, one for each that the network knows."""
    names = tuple(preprocessing.get("conditions", ()))
    levels = getattr(network, "levels", None)
    n_known = 0 if levels is None else len(levels.mean)
    if not all(isinstance(name, str) for name in names) or not len(set(names)) == n_known:
        raise DataError(f"the names {names[:5]} are not those of {n_known} conditions")
    return names


def _empty_network(
    preprocessing: Mapping[str, Any], bank: BackboneBank | None = None
) -> ImageNetwork:
    if "tiles" in preprocessing:
        return TiledNetwork.from_dict(preprocessing["tiles"], bank)
    spec = NetworkSpec.from_dict(preprocessing["network"])
    return BankNetwork(spec, bank) if spec.kind == "bank" else PixelNetwork(spec)


def _refused(err: Exception) -> ModelRefusedError:
    return ModelRefusedError(
        f"The image model does not hold what its kind needs: {reason_of(err)}. Train it again."
    )


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
