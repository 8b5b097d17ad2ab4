"""What a user asks of the image detector, as one value; whether it can be; how much work it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from vae_anomaly.detectors.images.features.at_hand import found_features
from vae_anomaly.detectors.images.features.channels import MODULE_CELL
from vae_anomaly.detectors.images.features.octaves import CELL
from vae_anomaly.detectors.images.features.plug_in import check_features
from vae_anomaly.detectors.images.networks.pixels import PIXEL_MEMBERS, model_name
from vae_anomaly.detectors.parameters import IMAGE, faults_of
from vae_anomaly.detectors.warm_start import WarmStart
from vae_anomaly.devices import device_name
from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.training import TrainingConfig

if TYPE_CHECKING:
    from torch import nn


_OWNER = "ImageVAEDetector"


@dataclass(frozen=True)
class TrainingWork:
    """How much work training is.

    Parameters
    ----------
    n_networks : int
        Repair VAEs, cross-fitted; 0 leaves the linear level alone.
    copies : int
        Corrupted copies of each image.
    passes : float
        How often each image is seen, clean or corrupted, by each network.
    min_steps, max_steps : int
        Bounds for the number of optimisation steps of each network.
    width : int
        Channels of the repair VAEs.
    precision : {"float32", "bf16"}
        Of training.
    """

    n_networks: int = 2
    copies: int = 3
    passes: float = 36.0
    min_steps: int = 120
    max_steps: int = 1000
    batch_size: int = 32
    width: int = 16
    precision: Literal["float32", "bf16"] = "float32"

    def steps(self, n_images: int) -> int:
        """Return the optimisation steps for so many images."""
        wanted = int(self.passes * n_images / self.batch_size)
        return int(np.clip(wanted, self.min_steps, self.max_steps))

    def training(
        self, n_images: int, random_state: int, decay: float | None = 0.99
    ) -> TrainingConfig:
        """Return how a network is trained on so many images."""
        steps = self.steps(n_images)
        return TrainingConfig(
            max_steps=steps,
            batch_size=self.batch_size,
            lr=2e-3,
            weight_decay=1e-3,
            lr_schedule="cosine",
            kl_schedule="linear",
            kl_warmup_steps=steps // 4,
            clip_norm=5.0,
            ema_decay=decay,
            patience=4,
            eval_every=max(20, steps // 10),
            random_state=random_state,
            precision=self.precision,
        )


PRESETS: Final = {
    "fast": TrainingWork(n_networks=0, copies=1),
    "default": TrainingWork(),
    "thorough": TrainingWork(4, copies=6, width=32),
}


@dataclass(frozen=True)
class ImageSettings:
    """The constructor's values; `ImageVAEDetector` says what each means."""

    image_size: int
    preset: str
    model: str
    pose: str
    register: str
    foreground: str
    channels: int | None
    white: int | None
    target_fpr: float
    latent_dim: int | None
    beta: float | None
    condition: str | None
    features: nn.Module | str | None
    features_weights: str | None
    download: bool
    max_steps: int | None
    tile_size: int | None
    tile_overlap: float
    device: str
    precision: Literal["float32", "bf16"]
    outliers: Literal["drop", "keep"]
    random_state: int | None
    start: WarmStart | None = None  # weights to begin with
    why: str = ""  # of the features that were found

    @property
    def cell(self) -> int:
        """Side of a cell of the maps, in pixels."""
        return CELL if self.features is None else MODULE_CELL

    @property
    def work(self) -> TrainingWork:
        """How much work training is, bounded by ``max_steps``, and in which arithmetic.

        A backbone's maps get no repair VAEs, whatever the preset: they cost time and recall, and
        the heads that are told where synthetic defects are point at the wrong places.
        """
        work = replace(PRESETS[self.preset], precision=self.precision)
        if self.features is not None:
            return replace(work, n_networks=0, copies=1)
        if self.max_steps is None:
            return work
        return replace(
            work,
            min_steps=min(work.min_steps, self.max_steps),
            max_steps=min(work.max_steps, self.max_steps),
        )


def check_parameters(settings: ImageSettings) -> None:
    """Collect every parameter that has no meaning, alone or beside the others, then raise once."""
    faults = faults_of(IMAGE, vars(settings), _OWNER)
    wrong = list(faults.values())
    name = model_name(settings.model)
    if "model" not in faults:
        wrong += _faults_beside(name, settings)
    if wrong:
        raise ConfigError(" ".join(wrong))
    device_name(settings.device)
    given = settings.features, settings.features_weights, name, settings.pose
    check_features(*given, download=settings.download)


def settled(settings: ImageSettings) -> ImageSettings:
    """Return settings that were checked, and that name a backbone with its weights or none.

    It raises what `check_parameters` and `found_features` do.
    """
    check_parameters(settings)
    turned = settings.pose == "any"
    given = settings.features, settings.features_weights
    found = found_features(*given, download=settings.download, turned=turned)
    return replace(settings, features=found.asked, features_weights=found.weights, why=found.why)


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
        f"The {parameter!r} parameter of {_OWNER} belongs to model={model!r}. Got {got} with "
        f"model={settings.model!r}: {remedy}."
        for parameter, (given, model, got, remedy) in belongs.items()
        if given and name != model
    ]
    weighed = [known for known, member in PIXEL_MEMBERS.items() if member.beta is not None]
    if settings.beta is not None and name not in weighed:
        faults.append(
            f"The 'beta' parameter of {_OWNER} weighs the KL of the models {', '.join(weighed)}. "
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
