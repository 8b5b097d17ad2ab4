"""A fitted image detector without its scikit-learn face."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

from sklearn.utils.validation import check_is_fitted

from vae_anomaly.arrays import AnyArray, AnyFloats, Floats32
from vae_anomaly.detectors.images.features.at_hand import seen_through
from vae_anomaly.detectors.images.fit.prediction import FoundShare, Prediction
from vae_anomaly.detectors.images.heatmaps import least_share, region_level
from vae_anomaly.detectors.images.image_list import ImageList, open_images
from vae_anomaly.detectors.images.networks.bank import BankNetwork
from vae_anomaly.detectors.images.networks.pixels import PixelNetwork
from vae_anomaly.detectors.images.place.placing import Foreground, Placing
from vae_anomaly.detectors.images.place.registration import Refinement, Registration
from vae_anomaly.detectors.images.score.earlier import EarlierScore
from vae_anomaly.detectors.images.score.image_score import ImageScore
from vae_anomaly.detectors.images.tiles.network import TiledNetwork
from vae_anomaly.devices import device_of
from vae_anomaly.metrics import is_flagged
from vae_anomaly.scoring.conformal import ConformalCalibration
from vae_anomaly.thresholds import Threshold

ImageNetwork = BankNetwork | PixelNetwork | TiledNetwork


@dataclass(frozen=True)
class ImageModel:
    """All that is saved of a fitted detector beside its calibration, and all that scoring needs.

    Parameters
    ----------
    network : BankNetwork, PixelNetwork or TiledNetwork
        It may be moved from device to device; nothing else of the model changes.
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
    prediction : Prediction, optional
        Raw scores of synthetic defects; None of older models, and where nothing can judge them.
    features_why : str
        Why images are seen through what they are; empty where nobody asked.
    """

    network: ImageNetwork
    score: ImageScore | EarlierScore
    placing: Placing
    heat_level: float
    random_state: int
    conditions: tuple[str, ...] = ()
    latents: Floats32 | None = None
    prediction: Prediction | None = None
    features_why: str = ""

    def __post_init__(self) -> None:
        """Light what the bank draws from latents as the training images were lit."""
        if isinstance(self.network, BankNetwork):
            self.network.exposure = self.score.usual_light

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.network.spec.channels

    def placed(self, images: ImageList) -> ImageList:
        """Return a list of images as this model reads and places them."""
        tiled = isinstance(self.network, TiledNetwork)
        return replace(images, placing=self.placing, shifts={}, tiled=tiled)

    def on_processor(self) -> ImageModel:
        """Return the model with its network on the processor; a copy where it lies elsewhere."""
        if device_of(self.network).type == "cpu":
            return self
        return replace(self, network=deepcopy(self.network).cpu())


class ModelAttributes:
    """What a fitted detector shows of its model, by names that end in _ as scikit-learn has it."""

    model_: ImageModel
    calibration_: ConformalCalibration
    threshold_: Threshold
    condition: str | None
    target_fpr: float

    @property
    def network_(self) -> ImageNetwork:
        """From images to maps."""
        return self.model_.network

    @property
    def image_score_(self) -> ImageScore | EarlierScore:
        """From maps to the raw score."""
        return self.model_.score

    @property
    def heat_level_(self) -> float:
        """Heat that only ``target_fpr`` of held-out normals (5 % at least) exceed anywhere.

        Regions and contours are drawn there.
        """
        return self.model_.heat_level

    def predicted_recall(self, threshold: float | None = None) -> tuple[FoundShare, ...]:
        """Count the synthetic defects of the self-test that are found, by kind and size.

        They were painted on held-out normals, and scored by networks that had not seen these.

        Parameters
        ----------
        threshold : float, optional
            Anomaly score above which a defect is found; the one in force by default.

        Returns
        -------
        tuple of FoundShare
            None where there was no self-test.
        """
        check_is_fitted(self, "model_")
        kept = self.model_.prediction
        if kept is None:
            return ()
        bound = self.threshold_.value if threshold is None else threshold
        return kept.found(is_flagged(self.calibration_.anomaly_score(kept.raw_score), bound))

    def set_heat_level(self, hottest: AnyFloats) -> None:
        """Show regions from the heat on that few normals exceed, of which this is the hottest."""
        level = region_level(hottest[:, None, None], least_share(self.target_fpr))
        self.model_ = replace(self.model_, heat_level=level)

    @property
    def channels_(self) -> int:
        """1 for grey, 3 for colour."""
        return self.model_.channels

    @property
    def features_(self) -> str:
        """What images are seen through, the fixed filters or a backbone, and why, in words."""
        return seen_through(self.model_.network.spec.backbone, self.model_.features_why)

    @property
    def registration_(self) -> Registration | None:
        """The reference that images are moved to; None where they are not."""
        return self.model_.placing.registration

    @property
    def refinement_(self) -> Refinement | None:
        """Of large images that are moved: the window that tells their shift to the pixel."""
        return self.model_.placing.refinement

    @property
    def foreground_(self) -> Foreground | None:
        """The pixels that count; None where all do."""
        return self.model_.placing.foreground

    @property
    def white_(self) -> int:
        """Of images of more than 8 bits, the value that is white; brighter pixels count as white.

        Told by ``white``, or the smallest of 255, 1023, 4095, 16383 and 65535 that training images
        do not exceed, but for hot pixels and a spoilt image: `vae_anomaly.data.images.white`.
        """
        return self.model_.placing.depth.white

    @property
    def bits_(self) -> int | None:
        """8 or 16, of the training images; None where both are taken, or it is not known."""
        return self.model_.placing.depth.bits

    def opened(self, X: object, conditions: object = None) -> ImageList:
        """List images as this model reads and places them; X is what `open_images` takes."""
        check_is_fitted(self, "model_")
        return self.model_.placed(open_images(X, condition=self.condition, conditions=conditions))

    def on_scale(self, pixels: AnyArray, name: str, white: int | None = None) -> AnyArray:
        """Return decoded pixels of which uint16 spreads from 0 to white over all 16 bits.

        As the model sees them: `BitDepth.scaled` says when an `ImageError` refuses them.
        """
        return self.model_.placing.depth.scaled(pixels, name, white)

    @property
    def conditions_(self) -> tuple[str, ...]:
        """Conditions seen in training; empty for models without."""
        return self.model_.conditions

    @property
    def latents_(self) -> Floats32 | None:
        """Posterior means of at most 2,000 training images, (M, Z); None of older models."""
        return self.model_.latents

    @property
    def random_state_(self) -> int:
        """Seed of the training, drawn where none was given."""
        return self.model_.random_state
