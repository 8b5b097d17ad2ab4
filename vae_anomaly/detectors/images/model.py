"""A fitted image detector without its scikit-learn face."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.images.networks.bank import BankNetwork
from vae_anomaly.detectors.images.networks.pixels import PixelNetwork
from vae_anomaly.detectors.images.place.foreground import Foreground
from vae_anomaly.detectors.images.place.placing import Placing
from vae_anomaly.detectors.images.place.registration import Refinement, Registration
from vae_anomaly.detectors.images.score import ImageScore
from vae_anomaly.detectors.images.tiles.network import TiledNetwork
from vae_anomaly.devices import device_of

ImageNetwork = BankNetwork | PixelNetwork | TiledNetwork


@dataclass(frozen=True)
class ImageModel:
    """All that is saved of a fitted detector beside its calibration, and all that scoring needs.

    Parameters
    ----------
    network : BankNetwork, PixelNetwork or TiledNetwork
        It may be moved from device to device; nothing else of the model changes.
    score : ImageScore
    placing : Placing
        What is done to an image before the network sees it.
    heat_level : float
        Heat from which a region is shown, in sd of held-out normals.
    random_state : int
        Seed that the model was trained with.
    conditions : tuple of str
        Conditions seen in training; empty for models without.
    latents : ndarray of shape (M, Z), float32, optional
        Posterior means of training images.
    """

    network: ImageNetwork
    score: ImageScore
    placing: Placing
    heat_level: float
    random_state: int
    conditions: tuple[str, ...] = ()
    latents: Floats32 | None = None

    def __post_init__(self) -> None:
        """Light what the bank draws from latents as the training images were lit."""
        if isinstance(self.network, BankNetwork):
            brightness, contrast = self.score.distance.mean[:2].tolist()
            self.network.exposure = (brightness, contrast)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.network.spec.channels

    def on_processor(self) -> ImageModel:
        """Return the model with its network on the processor; a copy where it lies elsewhere."""
        if device_of(self.network).type == "cpu":
            return self
        return replace(self, network=deepcopy(self.network).cpu())


class ModelAttributes:
    """What scikit-learn users read of a fitted detector: the model's parts, by names that end in _.

    `ImageVAEDetector` says what each is.
    """

    model_: ImageModel

    @property
    def network_(self) -> ImageNetwork:
        """Network that looks at images."""
        return self.model_.network

    @property
    def image_score_(self) -> ImageScore:
        """Judge of maps and statistics."""
        return self.model_.score

    @property
    def heat_level_(self) -> float:
        """Heat from which a region is shown."""
        return self.model_.heat_level

    @property
    def channels_(self) -> int:
        """1 for grey, 3 for colour."""
        return self.model_.channels

    @property
    def registration_(self) -> Registration | None:
        """Reference that images are moved to."""
        return self.model_.placing.registration

    @property
    def refinement_(self) -> Refinement | None:
        """Window that tells the shift of a large image."""
        return self.model_.placing.refinement

    @property
    def foreground_(self) -> Foreground | None:
        """Pixels that count."""
        return self.model_.placing.foreground

    @property
    def white_(self) -> int:
        """White of images of more than 8 bits."""
        return self.model_.placing.white

    @property
    def conditions_(self) -> tuple[str, ...]:
        """Conditions seen in training."""
        return self.model_.conditions

    @property
    def latents_(self) -> Floats32 | None:
        """Posterior means of training images."""
        return self.model_.latents

    @property
    def random_state_(self) -> int:
        """Seed of the training."""
        return self.model_.random_state
