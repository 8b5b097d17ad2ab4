"""The image detector: images of good parts in, p-values and heatmaps out."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from vae_anomaly.arrays import Bools, Floats, Floats32
from vae_anomaly.detectors.base import BaseVAEDetector
from vae_anomaly.detectors.images import latents
from vae_anomaly.detectors.images.examination import ImageExamination, examine
from vae_anomaly.detectors.images.fit.prediction import found_metrics
from vae_anomaly.detectors.images.fit.self_test import warn_if_blind
from vae_anomaly.detectors.images.heatmaps import Region, contours, resize_heat
from vae_anomaly.detectors.images.image_list import open_images
from vae_anomaly.detectors.images.model import ModelAttributes
from vae_anomaly.detectors.images.outliers import described
from vae_anomaly.detectors.images.reasons import (
    Regions,
    maps_at_own_size,
    reasons_of,
    region_table,
    regions_of,
)
from vae_anomaly.detectors.images.saved import calibration_of, facts_of, model_of, state_of
from vae_anomaly.detectors.images.settings import (
    ImageSettings,
    check_conditions_wanted,
    settled,
)
from vae_anomaly.detectors.images.training import fit_images
from vae_anomaly.detectors.latent_space import LatentSpaceMixin
from vae_anomaly.persistence import DetectorState
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.thresholds import Threshold
from vae_anomaly.vae.training import History

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.onnx.export import OnnxExport


class ImageVAEDetector(ModelAttributes, LatentSpaceMixin[Floats32], BaseVAEDetector):
    """Learn good parts from their images; score, and show where a new one differs.

    A closed-form linear VAE on a fixed filter bank explains the whole image; convolutional repair
    VAEs, trained on the ELBO to take synthetic defects away, explain what it leaves. What neither
    can explain, and where small heads see a defect, is the heatmap, in units of held-out normals.
    The score is read from the tails of what the linear VAE leaves, which misses fewer defects, and
    from the hottest cells of the heatmap, which places them better.

    Parameters
    ----------
    image_size : int, pixels
        Images are resized to a square of this side; a multiple of 16. The smallest defect that
        can be found covers about two of these pixels.
    preset : {"fast", "default", "thorough"}
        Training in closed form only (always with ``features``), two repair VAEs, or four wider.
    model : str
        ``bank``, or a member of the family on 64-pixel images: ``conv`` (or ``vae``), ``beta``,
        ``denoising``, ``autoencoder``, ``conditional``, ``vq``, ``ladder``,
        ``importance_weighted``, ``mixture``, ``vamp``.
    pose : {"auto", "fixed", "any"}
        For ``bank``: parts lie one way (``fixed``), any quarter turn or mirror image is as good
        (``any``), or the images are asked: turned copies of held-out normals are scored. Where
        parts lie one way, ``auto`` learns their variation mirrored, too; ``fixed`` as it lies.
    register : {"off", "auto", "shift"}
        Parts that move by up to 10 % of the side are shifted to where the others lie: ``shift``;
        or only where the good images say that it helps: ``auto``. Maps and regions are those of
        the image as it came; what moves out of sight at its edge is not looked at.
    foreground : {"off", "auto"}
        ``auto``: where good parts lie on a clearly uniform background, only the part and its
        surroundings count. Dust, or a foreign body, on the background is then not seen.
    channels : {None, 1, 3}
        Grey or colour; None lets the training images decide: colour where their channels differ.
    white : int, optional
        The value that is white in images of 16 bits, such as 4095; 8 bits are then taken as well.
    target_fpr : float in (0, 1)
        Share of normals that the default threshold flags.
    latent_dim : int, optional
        Latents of the linear level (default: a quarter of the images and their copies, at most
        120) or of the member on pixels (128; ``ladder`` 64 next to the image, half as many in
        each layer above; ``vq`` 16, the length of a code).
    beta : float, optional
        Weight of the KL (default 1; ``beta`` 4), where the objective has one.
    condition : str, optional
        For ``conditional``: what tells the product that an image shows, "folder" for the name of
        the folder it lies in, or a column of the manifest.
    features : torch.nn.Module or str, optional
        For ``bank``: your own backbone in the place of the fixed filters. A module takes images
        (N, C, S, S), float32 in [0, 1], and returns maps (N, F, h, w) or a list of such; it is
        copied, frozen and asked for again by `load_detector`. ``"timm:NAME"``, a model of timm, and
        ``"FILE.onnx"`` are stored. ``"auto"`` is one whose weights are at hand, else the filters.
    features_weights : str, optional
        For ``timm:``, a local safetensors file; for ``"auto"`` also an ONNX file.
    download : bool
        Fetch the weights of ``timm:`` for this training; never otherwise, and never to score.
    max_steps : int, optional
        Bound on the optimisation steps of each network, instead of the preset's.
    tile_size : int, optional, pixels
        For ``bank``: images are not resized but cut into overlapping tiles of this side, a
        multiple of 16, so that fine defects of large images stay; ``image_size`` is then only
        the size on which ``register`` and ``foreground`` are found. Memory does not grow with the
        number of images. None takes images as a whole.
    tile_overlap : float in [0, 0.5]
        Share of a tile's side that it has in common with the next one, at least.
    device : {"cpu", "cuda", "cuda:N", "auto"}
        Where networks are trained and images scored; "auto" is a GPU where there is one. It is
        no part of a saved model, see `load_detector`; ``set_params(device=...)`` changes it.
    precision : {"float32", "bf16"}
        Arithmetic in which repair VAEs and members on pixels are *trained*; scores are always
        computed in float32.
    outliers : {"drop", "keep"}
        Leave out training images that stand far apart from all others, at most 2 in 100 (or 2),
        and name them in ``left_out_``; or keep them.
    random_state : int, optional
        Same seed, same images and same machine: same model. None draws a seed, kept in
        ``random_state_``.

    Attributes
    ----------
    model_ : ImageModel
        All that scoring needs beside the calibration. ``network_``, ``image_score_``,
        ``heat_level_``, ``channels_``, ``registration_``, ``refinement_``, ``foreground_``,
        ``white_``, ``conditions_``, ``latents_`` and ``random_state_`` are read from it, see
        `ModelAttributes`.

    Notes
    -----
    The raw score is the larger of what a map and what the whole image says, each on the scale of
    -log p with its share of the false alarms, see `detectors.images.score.image_score`. The map is
    the heatmap, but for ``bank`` with repair VAEs: there it is that of the linear level,
    `ImageExamination.score_map`, and of the heatmap only the hottest cells count, where they are
    hotter than on nine of ten good images. An image may be flagged whose heatmap stays cool; then
    `reasons` says what is the matter, or where the scored map is hottest. A conditional model
    judges each image by the usual exposure and the heat of its own condition; p-values are counted
    over the held-out normals of all. An image whose condition is unknown is judged as the one with
    the smallest negative ELBO, and `reasons` says so. Saved models keep the scores they had.

    Of tiles, the raw score takes the poolings of the hottest tile, and the mean heat of the whole
    image; nats in `evidence` are means over tiles. See `detectors.images.tiles.fit`.

    The same image gets the same score alone, in any batch and after reload, to 1e-4 in the raw
    score on one machine; across machines and thread counts about as well, on a GPU to 1e-3.

    Examples
    --------
    >>> import numpy as np
    >>> good = np.random.default_rng(0).integers(90, 110, (24, 64, 64), dtype=np.uint8)
    >>> detector = ImageVAEDetector(image_size=64, preset="fast", random_state=0).fit(good)
    >>> bad = good[:1].copy()
    >>> bad[:, 20:40, 20:40] = 0
    >>> bool(detector.anomaly_score(bad)[0] > detector.anomaly_score(good).max())
    True
    >>> detector.heatmap(bad).shape
    (1, 64, 64)
    """

    kind = "image"

    def __init__(
        self,
        image_size: int = 256,
        *,
        preset: str = "default",
        model: str = "bank",
        pose: str = "auto",
        register: str = "off",
        foreground: str = "off",
        channels: int | None = None,
        white: int | None = None,
        target_fpr: float = 0.01,
        latent_dim: int | None = None,
        beta: float | None = None,
        condition: str | None = None,
        features: nn.Module | str | None = None,
        features_weights: str | None = None,
        download: bool = False,
        max_steps: int | None = None,
        tile_size: int | None = None,
        tile_overlap: float = 0.25,
        device: str = "cpu",
        precision: Literal["float32", "bf16"] = "float32",
        outliers: Literal["drop", "keep"] = "drop",
        random_state: int | None = None,
    ) -> None:
        self.image_size = image_size
        self.preset = preset
        self.model = model
        self.pose = pose
        self.register = register
        self.foreground = foreground
        self.channels = channels
        self.white = white
        self.target_fpr = target_fpr
        self.latent_dim = latent_dim
        self.beta = beta
        self.condition = condition
        self.features = features
        self.features_weights = features_weights
        self.download = download
        self.max_steps = max_steps
        self.tile_size = tile_size
        self.tile_overlap = tile_overlap
        self.device = device
        self.precision = precision
        self.outliers = outliers
        self.random_state = random_state

    def fit(
        self,
        X: object,
        y: object = None,
        *,
        groups: object = None,
        conditions: object = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn what good parts look like.

        Parameters
        ----------
        X : as `examine`
            Images of good parts. Of a folder with ``train/good`` only that is used; y is ignored.
        groups : array-like of shape (N,), optional
            Part number, lot or camera of each image: images of one group are never split
            between training and calibration. Defaults to the manifest's ``group``.
        conditions : array-like of shape (N,), optional
            What each image shows, for ``model="conditional"``, in place of ``condition``.
        progress : callable, optional
            ``progress(stage, done, total)`` with the stages features, linear, train; with tiles
            also tiles, before, and calibrate, after them.

        Returns
        -------
        self

        Raises
        ------
        NotEnoughDataError
            If there are fewer than 8 images or 2 groups (4 with tiles).
        ImageError
            If images cannot be read, or are smaller than a tile; they are named.
        DataError
            If there are no images, or a condition is missing or the only one.
        ConfigError
            If a parameter has no meaning.
        """
        settings = settled(ImageSettings(**self.get_params(deep=False), start=self.start_))
        check_conditions_wanted(self.model, self.condition, conditions)
        images = open_images(X, training=True, condition=self.condition, conditions=conditions)
        seed = secrets.randbits(31) if self.random_state is None else self.random_state
        fitted = fit_images(settings, images, groups, seed, progress or null_progress)
        self.model_, self.history_, self.held_out_ = fitted.model, fitted.history, fitted.held_out
        self.fingerprint_ = fitted.fingerprint
        self._calibrate(self.held_out_.raw_score, self.held_out_.groups)
        self.metrics_ = fitted.metrics | found_metrics(found := self.predicted_recall())
        seen_by = self.model_, self.calibration_, self.threshold_.value, self.device
        self._note_left_out(described(fitted.left_out, fitted.causes, *seen_by))
        warn_if_blind(found)
        return self

    def examine(
        self, X: object, *, conditions: object = None, progress: Progress | None = None
    ) -> ImageExamination:
        """Score images and keep map and evidence, in one pass.

        Parameters
        ----------
        X : folder, manifest, path, array, tensor, list of images, or ImageList
            As ``vae_anomaly.detectors.images.image_list.open_images``, whose list every method
            takes: it also tells conditions, limits and the white of these images.
        conditions : array-like of shape (N,), optional
            What each image shows, for ``model="conditional"``; see the class's notes.
        progress : callable, optional

        Returns
        -------
        ImageExamination

        Raises
        ------
        ImageError
            If an image cannot be read; it is named.
        ConfigError
            If conditions are given to a model that has none.
        """
        if conditions is not None:
            check_conditions_wanted(self.model, self.condition, conditions)
        images, tell = self.opened(X, conditions), progress or null_progress
        return examine(self.model_, self.calibration_, images, self.device, tell)

    def _raw_score(self, X: object) -> Floats:
        return self.examine(X).raw_score

    def evidence(self, X: object) -> pd.DataFrame:
        """Return what speaks against each image, in nats, higher = more anomalous.

        Returns
        -------
        DataFrame of N rows, index ``id``
            ``reconstruction_nll, kl, negative_elbo`` of the repair VAE (mean over networks; of the
            linear VAE with ``preset="fast"``) or of the member on pixels: its own KL, so that of
            an autoencoder is 0, of a VQ model log K per position, of a ladder against its
            top-down prior; ``linear_nll``, exact -log p of the linear VAE, 0 on pixels;
            ``heat_top_*``, -log p of each pooling of the scored map, see the class's notes;
            ``exposure, appearance, layout``, -log p of each judge of the whole image; ``local``,
            ``whole_image`` and the larger of these two, ``raw_score``, which is calibrated.
        """
        return self.examine(X).evidence

    def heatmap(self, X: object, *, size: tuple[int, int] | None = None) -> Floats32:
        """Return where images differ from good ones, on one scale for all images.

        Parameters
        ----------
        X : as `examine`
        size : (height, width), optional
            Defaults to the model's ``image_size``; with tiles to the map's own grid of cells of 8
            pixels (16 with ``features``), that of the first training image.

        Returns
        -------
        ndarray of shape (N, H, W), float32
            In sd of held-out normals: 0 is usual, higher = more anomalous.
        """
        maps, side = self.examine(X).heatmap, self.image_size
        own = (side, side) if self.tile_size is None else (maps.shape[1], maps.shape[2])
        return resize_heat(maps, size or own)

    def regions(self, X: object, *, level: float | None = None) -> list[list[Region]]:
        """Return boxes of what is too hot, in pixels of each image itself, hottest first.

        Parameters
        ----------
        X : as `examine`
        level : float, optional
            In sd of held-out normals; ``heat_level_`` by default.
        """
        return regions_of(self.examine(X), self._level(level))

    def masks(self, X: object, *, level: float | None = None) -> list[Bools]:
        """Return which pixels of each image are too hot, as `regions`.

        Returns
        -------
        list of N ndarray of shape (H, W), bool, each at the size of its image
        """
        images, bound = self.opened(X), self._level(level)
        return [heatmap > bound for heatmap in maps_at_own_size(images, self.examine)]

    def contours(self, X: object, *, level: float | None = None) -> list[list[Floats]]:
        """Return the outlines of what is too hot in each image, the edges of `masks`.

        Returns
        -------
        list of N lists of ndarray of shape (K, 2), float64
            Closed polygons, x and y in pixels of the image; 0 is the centre of the first pixel.
            Holes are polygons of their own and run the other way round.
        """
        images, bound = self.opened(X), self._level(level)
        return [contours(heatmap, bound) for heatmap in maps_at_own_size(images, self.examine)]

    def explain(self, X: object, *, level: float | None = None) -> pd.DataFrame:
        """Return one row for each region that is too hot.

        Returns
        -------
        DataFrame
            ``id, rank, top, left, bottom, right`` in pixels of the image itself, ``area_share``
            of the image, ``peak`` and ``mean`` heat in sd of held-out normals. An image without
            such a region has no row.
        """
        images = self.opened(X)
        return region_table(images.ids, self.regions(images, level=level))

    def reasons(self, X: object, top: int = 3) -> list[list[str]]:
        """Say in words what is unusual about each image, the strongest first.

        Returns
        -------
        list of N lists of at most ``top`` str
            Empty for an image of which nothing exceeds what held-out normals show; a flagged one
            always has a reason. A condition that training has not seen comes first.
        """
        return self.reasons_of(self.examine(X), top)

    def reasons_of(
        self, examination: ImageExamination, top: int = 3, regions: Regions | None = None
    ) -> list[list[str]]:
        """Return the `reasons` of images that were examined, and of which regions may be known."""
        reasons = reasons_of(examination, self.model_, self.threshold_.value, regions)
        return [some[:top] for some in reasons]

    def _level(self, level: float | None) -> float:
        return self.model_.heat_level if level is None else level

    def reconstruct(self, X: object) -> Floats32:
        """Return what the VAE expects in place of each image.

        Returns
        -------
        ndarray of shape (N, s, s), or (N, s, s, 3) for the plain VAE in colour, float32 in [0, 1]
            For ``model="bank"`` a preview of brightness at a quarter of the resolution: the model
            explains log-energies of filters, of which only the level can be shown as an image.
        """
        return latents.reconstruct(self.opened(X), self.model_, self.device)

    def transform(self, X: object) -> Floats32:
        """Return where images lie among the latents.

        Returns
        -------
        ndarray of shape (N, Z), float32
            Posterior means: of the linear level for ``model="bank"``, of the VAE on pixels else;
            of ``vq`` the chosen codes, one position after another.
        """
        return latents.embed_images(self.opened(X), self.model_, self.device)

    def _decode(self, z: Floats32, conditions: object = None) -> Floats32:
        return latents.decode(z, self.model_, self.device, conditions)

    def _draw_prior(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return latents.draw_prior(self.model_, n, generator)

    def _latent_reference(self) -> Floats32 | None:
        check_is_fitted(self, "model_")
        return self.model_.latents

    def _one(self, item: object) -> object:
        return latents.single_image(item)

    def export_onnx(self, path: str | Path, *, image_channels: int | None = None) -> OnnxExport:
        """Write all that follows decoding, from resizing to the p-value, as one ONNX file.

        Parameters
        ----------
        path : str or Path
            An existing file is replaced.
        image_channels : {1, 3}, optional
            Channels of the images that the file takes; those of the model by default.

        Returns
        -------
        OnnxExport
            The file takes ``images``, uint8 (N, H, W, C) of any N, height and width, and gives
            ``raw_score, anomaly_score, p_value`` (N,) and ``heatmap`` (N, S, S), S the
            ``image_size``: to 1e-4 what this detector says.

        Raises
        ------
        MissingExtraError
            If the extra ``onnx`` is not installed.
        ModelRefusedError
            If the model cannot be exported; "conditional" is one.
        """
        from vae_anomaly.detectors.images.onnx.export import export_onnx

        check_is_fitted(self, "model_")
        scored_by = self.model_, self.calibration_, self.threshold_.value
        return export_onnx(*scored_by, path, side=self.image_size, image_channels=image_channels)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled or copied: with the network on the processor, which all have."""
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = self.model_.on_processor()
        return state

    def _state(self) -> DetectorState:
        judged_by = self.calibration_, self.calibration_groups_, self.threshold_
        known = self.fingerprint_, self.metrics_
        return state_of(self.model_, self.get_params(), *judged_by, *known)

    @classmethod
    def _from_state(
        cls, state: DetectorState, features: nn.Module | None = None, device: str = "cpu"
    ) -> Self:
        detector = cls(**state.config, device=device)
        detector.model_ = model_of(state, features)
        detector.calibration_, detector.calibration_groups_ = calibration_of(state)
        detector.set_threshold(Threshold.from_dict(state.threshold or {}))
        detector.fingerprint_, detector.metrics_ = facts_of(state)
        detector.history_ = History()
        if features is not None:
            detector.features = features
        return detector
