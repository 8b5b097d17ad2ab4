"""What a user may ask of the image detector, checked in one place."""

from __future__ import annotations

from vae_anomaly.detectors.images.features.plug_in import check_features
from vae_anomaly.detectors.images.networks.members import PIXEL_MEMBERS, model_name
from vae_anomaly.detectors.images.settings import ImageSettings
from vae_anomaly.detectors.parameters import IMAGE, faults_of
from vae_anomaly.devices import device_name
from vae_anomaly.errors import ConfigError

OWNER = "ImageVAEDetector"


def check_parameters(settings: ImageSettings) -> str:
    """Collect every parameter that cannot be used, then raise once; return the model's name.

    Raises
    ------
    ConfigError
        If a parameter has no meaning, alone or beside the others.
    """
    faults = faults_of(IMAGE, vars(settings), OWNER)
    wrong = list(faults.values())
    name = model_name(settings.model)
    if "model" not in faults:
        wrong += _faults_beside(name, settings)
    if wrong:
        raise ConfigError(" ".join(wrong))
    device_name(settings.device)
    check_features(settings.features, settings.features_weights, name, settings.pose)
    return name


def _faults_beside(name: str, settings: ImageSettings) -> list[str]:
    """Say what does not go with the chosen model."""
    size, pose, condition = settings.tile_size, settings.pose, settings.condition
    belongs = {
        "tile_size": (size is not None, "bank", f"tile_size={size}", "leave one of them out"),
        "pose": (pose != "auto", "bank", f"pose={pose!r}", "leave it out"),
        "condition": (
            condition is not None, "conditional", f"condition={condition!r}", "change one of them"
        ),
    }  # fmt: skip
    faults = [
        f"The {parameter!r} parameter of {OWNER} belongs to model={model!r}. Got {got} with "
        f"model={settings.model!r}: {remedy}."
        for parameter, (given, model, got, remedy) in belongs.items()
        if given and name != model
    ]
    weighed = [known for known, member in PIXEL_MEMBERS.items() if member.beta is not None]
    if settings.beta is not None and name not in weighed:
        faults.append(
            f"The 'beta' parameter of {OWNER} weighs the KL of the models {', '.join(weighed)}. "
            f"Got beta={settings.beta:g} with model={name!r}: leave it out, or take one of those."
        )
    return faults


def check_conditions_wanted(model: str, condition: str | None, conditions: object) -> None:
    """Refuse conditions for a model that has none, and a conditional model without any."""
    conditional = model_name(model) == "conditional"
    if conditions is not None and not conditional:
        raise ConfigError(
            "conditions= belongs to model='conditional'. Got it with "
            f"model={model!r}: leave it out, or train the conditional model."
        )
    if conditional and conditions is None and condition is None:
        raise ConfigError(
            "model='conditional' needs to know what each image shows; got condition=None. Give "
            "condition='folder', condition='COLUMN' of the manifest, or fit(X, conditions=...)."
        )
