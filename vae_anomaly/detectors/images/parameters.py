"""What a user may ask of the image detector, checked in one place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vae_anomaly.detectors.images.features.plug_in import check_features
from vae_anomaly.detectors.images.fit.linear import POSE_CHOICES
from vae_anomaly.detectors.images.members import PIXEL_MEMBERS, model_name
from vae_anomaly.detectors.images.place.choose import FOREGROUND_CHOICES, REGISTER_CHOICES
from vae_anomaly.detectors.images.presets import PRESETS, Preset
from vae_anomaly.devices import device_name
from vae_anomaly.errors import ConfigError

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.detector import ImageVAEDetector


def check_parameters(detector: ImageVAEDetector) -> str:
    """Refuse what has no meaning, and return the name of the model.

    Raises
    ------
    ConfigError
        If a parameter has no meaning, alone or beside the others.
    """
    name = model_name(detector.model)
    _check_choice("preset", detector.preset, tuple(PRESETS))
    _check_choice("pose", detector.pose, POSE_CHOICES)
    _check_choice("register", detector.register, REGISTER_CHOICES)
    _check_choice("foreground", detector.foreground, FOREGROUND_CHOICES)
    _check_choice("channels", detector.channels, (None, 1, 3))
    _check_choice("precision", detector.precision, ("float32", "bf16"))
    device_name(detector.device)
    if detector.image_size < 64 or detector.image_size % 16:
        raise ConfigError(
            "The 'image_size' parameter of ImageVAEDetector must be a multiple of 16 of at "
            f"least 64. Got {detector.image_size}."
        )
    for parameter in ("max_steps", "latent_dim"):
        value = getattr(detector, parameter)
        if value is not None and value < 1:
            raise ConfigError(f"The {parameter!r} parameter must be at least 1. Got {value}.")
    if detector.beta is not None:
        _check_beta(name, detector.beta)
    if detector.tile_size is not None:
        _check_tiles(name, detector.tile_size, detector.tile_overlap)
    if detector.pose != "auto" and name != "bank":
        raise ConfigError(
            "The 'pose' parameter of ImageVAEDetector belongs to model='bank'. Got "
            f"pose={detector.pose!r} with model={detector.model!r}: leave it out."
        )
    check_features(detector.features, detector.features_weights, name, detector.pose)
    if detector.condition is not None and name != "conditional":
        raise ConfigError(
            "The 'condition' parameter of ImageVAEDetector belongs to model='conditional'. Got "
            f"condition={detector.condition!r} with model={detector.model!r}: change one of them."
        )
    return name


def check_conditions_wanted(detector: ImageVAEDetector, conditions: Any) -> None:
    """Refuse conditions for a model that has none, and a conditional model without any."""
    conditional = model_name(detector.model) == "conditional"
    if conditions is not None and not conditional:
        raise ConfigError(
            "conditions= belongs to model='conditional'. Got it with "
            f"model={detector.model!r}: leave it out, or train the conditional model."
        )
    if conditional and conditions is None and detector.condition is None:
        raise ConfigError(
            "model='conditional' needs to know what each picture shows; got condition=None. Give "
            "condition='folder', condition='COLUMN' of the manifest, or fit(X, conditions=...)."
        )


def chosen_preset(detector: ImageVAEDetector) -> Preset:
    """Return how much work training is, bounded by ``max_steps``, and in which arithmetic."""
    preset = replace(PRESETS[detector.preset], precision=detector.precision)
    if detector.max_steps is None:
        return preset
    return replace(
        preset,
        min_steps=min(preset.min_steps, detector.max_steps),
        max_steps=min(preset.max_steps, detector.max_steps),
    )


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ConfigError(
            f"The {name!r} parameter of ImageVAEDetector must be one of "
            f"{', '.join(map(str, choices))}. Got {value!r}."
        )


def _check_tiles(name: str, size: int, overlap: float) -> None:
    if name != "bank":
        raise ConfigError(
            "The 'tile_size' parameter of ImageVAEDetector belongs to model='bank'. Got "
            f"tile_size={size} with model={name!r}: leave one of them out."
        )
    if size < 64 or size % 16:
        raise ConfigError(
            "The 'tile_size' parameter of ImageVAEDetector must be a multiple of 16 of at least "
            f"64. Got {size}."
        )
    if not 0.0 <= overlap <= 0.5:
        raise ConfigError(
            "The 'tile_overlap' parameter of ImageVAEDetector must be a share from 0 to 0.5. Got "
            f"{overlap!r}."
        )


def _check_beta(name: str, beta: float) -> None:
    weighed = [known for known, member in PIXEL_MEMBERS.items() if member.beta is not None]
    if name not in weighed:
        raise ConfigError(
            "The 'beta' parameter of ImageVAEDetector weighs the KL of the models "
            f"{', '.join(weighed)}. Got beta={beta:g} with model={name!r}: leave it out, or take "
            "one of those."
        )
    if not beta >= 0:
        raise ConfigError(f"The 'beta' parameter must be a number >= 0. Got {beta!r}.")
