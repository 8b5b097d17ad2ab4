"""The image detector: pictures of good parts in, p-values and heat maps out."""

from __future__ import annotations

import secrets
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from vae_anomaly.arrays import AnyArray, Floats
from vae_anomaly.detectors.base import BaseVAEDetector
from vae_anomaly.detectors.images.conditions import condition_codes, learn_conditions
from vae_anomaly.detectors.images.examination import ImageExamination, first, full_batches, judge
from vae_anomaly.detectors.images.fit.bank import MIN_PICTURES, FittedNetwork
from vae_anomaly.detectors.images.fit.fitting import (
    choose_folds,
    fit_network,
    group_names,
    placing,
    shared_groups,
    warn_of_blindness,
    warn_of_few,
)
from vae_anomaly.detectors.images.heatmaps import region_level
from vae_anomaly.detectors.images.image_list import (
    Pictures,
    decide_channels,
    decide_white,
    open_pictures,
)
from vae_anomaly.detectors.images.latents import ImageLatentsMixin
from vae_anomaly.detectors.images.members import PIXEL_SIZE
from vae_anomaly.detectors.images.networks.bank import BankNetwork
from vae_anomaly.detectors.images.networks.pixels import PixelNetwork
from vae_anomaly.detectors.images.parameters import check_conditions_wanted, check_parameters
from vae_anomaly.detectors.images.place.choose import (
    choose_foreground,
    choose_registration,
    masked,
    masked_inspection,
    moved_back,
)
from vae_anomaly.detectors.images.regions import ImageMapsMixin
from vae_anomaly.detectors.images.saved import fill_detector, state_of
from vae_anomaly.detectors.images.score import ImageScore
from vae_anomaly.detectors.images.tiles.fit import FittedTiles, fit_tiles
from vae_anomaly.detectors.images.tiles.network import TiledNetwork, examine_tiles
from vae_anomaly.detectors.images.tiles.place import choose_refinement
from vae_anomaly.devices import device_of, exact_float32, torch_device
from vae_anomaly.errors import NotEnoughDataError
from vae_anomaly.persistence import DetectorState
from vae_anomaly.progress import Progress, null_progress

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.onnx.export import OnnxExport


class ImageVAEDetector(ImageMapsMixin, ImageLatentsMixin, BaseVAEDetector):
    """Learn good parts from their pictures; score, and show where a new one differs.

    A closed-form linear VAE on a fixed filter bank explains the whole picture; convolutional repair
    VAEs, trained on the ELBO to take synthetic defects away, explain what it leaves. What neither
    can explain, and where small heads see a defect, is the heat map, in units of held-out normals.
    The score is read from the tails of what the linear VAE leaves, which misses fewer defects, and
    from the hottest cells of the heat map, which places them better.

    Parameters
    ----------
    image_size : int, pixels
        Pictures are resized to a square of this side; a multiple of 16. The smallest defect that
        can be found covers about two of these pixels.
    preset : {"fast", "default", "thorough"}
        Work spent on training: closed form only, two repair VAEs, or four wider ones.
    model : str
        ``bank``, or a member of the family on 64-pixel pictures: ``conv`` (or ``vae``), ``beta``,
        ``denoising``, ``autoencoder``, ``conditional``, ``vq``, ``ladder``,
        ``importance_weighted``, ``mixture``, ``vamp``.
    pose : {"auto", "fixed", "any"}
        For ``bank``: parts lie one way (``fixed``), any quarter turn or mirror image is as good
        (``any``), or the pictures are asked: turned copies of held-out normals are scored. Where
        parts lie one way, ``auto`` learns their variation mirrored, too; ``fixed`` as it lies.
    register : {"off", "auto", "shift"}
        Parts that move by up to 10 % of the side are shifted to where the others lie: ``shift``;
        or only where the good pictures say that it helps: ``auto``. Maps and regions are those of
        the picture as it came; what moves out of sight at its edge is not looked at.
    foreground : {"off", "auto"}
        ``auto``: where good parts lie on a clearly uniform background, only the part and its
        surroundings count. Dust, or a foreign body, on the background is then not seen.
    channels : {None, 1, 3}
        Grey or colour; None lets the training pictures decide.
    target_fpr : float in (0, 1)
        Share of normals that the default threshold flags.
    latent_dim : int, optional
        Latents of the linear level (default: a quarter of the pictures and their copies, at most
        120) or of the member on pixels (128; ``ladder`` 64 next to the picture, half as many in
        each layer above; ``vq`` 16, the length of a code).
    beta : float, optional
        Weight of the KL (default 1; ``beta`` 4), where the objective has one.
    condition : str, optional
        For ``conditional``: what tells the product that a picture shows, "folder" for the name of
        the folder it lies in, or a column of the manifest.
    features : torch.nn.Module or str, optional
        For ``bank``: your own backbone in the place of the fixed filters. A module takes pictures
        (N, C, S, S), float32 in [0, 1], and returns maps (N, F, h, w) or a list of such; it is
        copied, frozen and asked for again by `load_detector`. ``"timm:NAME"`` is a model of timm.
    features_weights : str, optional
        For ``timm:``, a local safetensors file; nothing is downloaded.
    max_steps : int, optional
        Bound on the optimisation steps of each network, instead of the preset's.
    tile_size : int, optional, pixels
        For ``bank``: pictures are not resized but cut into overlapping tiles of this side, a
        multiple of 16, so that fine defects of large pictures stay; ``image_size`` is then only
        the size on which ``register`` and ``foreground`` are found. Memory does not grow with the
        number of pictures. None takes pictures as a whole.
    tile_overlap : float in [0, 0.5]
        Share of a tile's side that it has in common with the next one, at least.
    device : {"cpu", "cuda", "cuda:N", "auto"}
        Where networks are trained and pictures scored; "auto" is a GPU where there is one. It is
        no part of a saved model, see `load_detector`; ``set_params(device=...)`` changes it.
    precision : {"float32", "bf16"}
        Arithmetic in which repair VAEs and members on pixels are *trained*; scores are always
        computed in float32.
    random_state : int, optional
        Same seed, same pictures and same machine: same model. None draws a seed, kept in
        ``random_state_``.

    Attributes
    ----------
    network_ : BankNetwork, PixelNetwork or TiledNetwork
    image_score_ : ImageScore
    heat_level_ : float
        Heat that only ``target_fpr`` of held-out normals (5 % at least) exceed anywhere; regions
        and contours are drawn there.
    channels_ : {1, 3}
    registration_ : Registration or None
        The reference that pictures are moved to; None where they are not.
    refinement_ : Refinement or None
        Of large pictures that are moved: the window that tells their shift to the pixel.
    foreground_ : Foreground or None
        The pixels that count; None where all do.
    white_ : int
        Of pictures of more than 8 bits, the value that is white: the smallest of 255, 1023, 4095,
        16383 and 65535 that no training picture exceeds. Brighter pixels count as white.
    conditions_ : tuple of str
        Conditions seen in training; empty for models without.
    latents_ : ndarray of shape (M, Z), float32, or None
        Posterior means of at most 2,000 training pictures; None of a model saved without them.
    random_state_ : int

    Notes
    -----
    The raw score is read from a map and the whole picture's exposure; KL and ELBO are in
    `evidence`. The map is the heat map, but for ``bank`` with repair VAEs: there it is that of the
    linear level, `ImageExamination.scored`, and of the heat map only the hottest cells count, where
    they are hotter than on nine of ten good pictures. A picture may be flagged whose heat map stays
    cool; then `reasons` says where the scored map is hottest. Models saved before there were two
    maps score by the heat map. A conditional model judges each picture by the usual exposure and
    the heat of its own condition; p-values are counted over the held-out normals of all conditions
    together. A picture whose condition is unknown is judged as the condition with the smallest
    negative ELBO, and `reasons` says so.

    Of tiles, the raw score takes the poolings of the hottest tile, and the mean heat of the whole
    picture; nats in `evidence` are means over tiles. See `detectors.image_tile_training`.

    The same picture gets the same score alone, in any batch and after reload, to 1e-4 in the raw
    score on one machine; across machines and thread counts rounding differs by about as much,
    between processor and GPU by up to 1e-3 (relative to raw scores above 1).

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
        target_fpr: float = 0.01,
        latent_dim: int | None = None,
        beta: float | None = None,
        condition: str | None = None,
        features: Any = None,
        features_weights: str | None = None,
        max_steps: int | None = None,
        tile_size: int | None = None,
        tile_overlap: float = 0.25,
        device: str = "cpu",
        precision: Literal["float32", "bf16"] = "float32",
        random_state: int | None = None,
    ) -> None:
        self.image_size = image_size
        self.preset = preset
        self.model = model
        self.pose = pose
        self.register = register
        self.foreground = foreground
        self.channels = channels
        self.target_fpr = target_fpr
        self.latent_dim = latent_dim
        self.beta = beta
        self.condition = condition
        self.features = features
        self.features_weights = features_weights
        self.max_steps = max_steps
        self.tile_size = tile_size
        self.tile_overlap = tile_overlap
        self.device = device
        self.precision = precision
        self.random_state = random_state

    # ------------------------------------------------------------------ training

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        groups: Any = None,
        conditions: Any = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn what good parts look like.

        Parameters
        ----------
        X : folder, manifest, list of paths, or ndarray of shape (N, H, W) or (N, H, W, C)
            Pictures of good parts. Of a folder with ``train/good`` only that is used.
        y : ignored
        groups : array-like of shape (N,), optional
            Part number, lot or camera of each picture: pictures of one group are never split
            between training and calibration. Defaults to the manifest's ``group``.
        conditions : array-like of shape (N,), optional
            What each picture shows, for ``model="conditional"``, in place of ``condition``.
        progress : callable, optional
            ``progress(stage, done, total)`` with the stages features, linear, train; with tiles
            also tiles, before, and calibrate, after them.

        Returns
        -------
        self

        Raises
        ------
        NotEnoughDataError
            If there are fewer than 8 pictures or 2 groups (4 with tiles).
        ImageError
            If pictures cannot be read, or are smaller than a tile; they are named.
        DataError
            If there are no pictures, or a condition is missing or the only one.
        ConfigError
            If a parameter has no meaning.
        """
        name = check_parameters(self)
        check_conditions_wanted(self, conditions)
        pictures = self._open(X, conditions, training=True)
        if len(pictures) < MIN_PICTURES:
            raise NotEnoughDataError(
                f"An image detector needs at least {MIN_PICTURES} pictures of good parts; got "
                f"{len(pictures)}. Take more pictures; 100 and more give useful thresholds."
            )
        self.random_state_ = (
            secrets.randbits(31) if self.random_state is None else self.random_state
        )
        self.white_ = decide_white(pictures)
        pictures = replace(pictures, white=self.white_)
        self.channels_ = self.channels or decide_channels(pictures)
        side = self.image_size if name == "bank" else PIXEL_SIZE
        self.registration_ = choose_registration(pictures, side, self.channels_, self.register)
        pictures = replace(pictures, registration=self.registration_)
        tiled = self.tile_size is not None
        self.refinement_ = (
            choose_refinement(pictures, self.registration_, self.channels_) if tiled else None
        )
        self.foreground_ = choose_foreground(pictures, side, self.channels_, self.foreground)
        pictures = replace(pictures, foreground=self.foreground_)
        self.conditions_: tuple[str, ...] = ()
        codes = None
        if name == "conditional":
            self.conditions_ = learn_conditions(pictures.conditions, pictures.ids)
            codes = condition_codes(self.conditions_, pictures.conditions)
        parts = group_names(groups, pictures)
        folds = choose_folds(parts, codes, self.random_state_)
        tell = progress or null_progress
        with exact_float32(torch_device(self.device)):
            if self.tile_size is not None:
                self._take(fit_tiles(self, pictures, parts, tell), folds, parts)
                return self
            fitted = fit_network(self, name, pictures, parts, folds, codes, tell)
        heat, scored = (masked(maps, self.foreground_) for maps in (fitted.heat, fitted.scored))
        fitted = replace(fitted, heat=heat, scored=scored)
        self._take(fitted, folds, parts)
        if codes is not None:
            warn_of_few(self.conditions_, codes, fitted.held_out)
        return self

    def _take(self, fitted: FittedNetwork | FittedTiles, folds: AnyArray, parts: AnyArray) -> None:
        """Keep the network and calibrate it on the normals that it has not seen."""
        self.history_, self.fingerprint_ = fitted.history, fitted.fingerprint
        self.latents_ = fitted.latents
        self.image_score_, raw = ImageScore.fit(
            fitted.pooled, fitted.statistics, folds, fitted.held_out
        )
        self._take_network(fitted.network)
        self.heat_level_ = region_level(fitted.heat, max(self.target_fpr, 0.05))
        self._calibrate(raw, shared_groups(parts[fitted.held_out]))
        self.metrics_ = {
            **fitted.metrics,
            "n_pictures": float(len(fitted.statistics)),
            "n_held_out": float(len(raw)),
            **placing(self),
            "held_out_raw_score_mean": float(raw.mean()),
        }
        warn_of_blindness(fitted.metrics)

    def _take_network(self, network: BankNetwork | PixelNetwork | TiledNetwork) -> None:
        """Keep a network; what it draws from latents is lit as the training pictures were."""
        self.network_: BankNetwork | PixelNetwork | TiledNetwork = network
        self.channels_ = network.spec.channels
        if isinstance(network, BankNetwork):
            brightness, contrast = self.image_score_.distance.mean[:2].tolist()
            network.exposure = (brightness, contrast)

    def _open(self, X: Any, conditions: Any = None, *, training: bool = False) -> Pictures:
        pictures = open_pictures(
            X, training=training, condition=self.condition, conditions=conditions
        )
        if training:
            return pictures
        return replace(
            pictures,
            white=self.white_,
            registration=self.registration_,
            foreground=self.foreground_,
            shifts={},
        )

    # ------------------------------------------------------------------ scoring

    def examine(
        self, X: Any, *, conditions: Any = None, progress: Progress | None = None
    ) -> ImageExamination:
        """Score pictures and keep map and evidence, in one pass.

        Parameters
        ----------
        X : folder, manifest, path, list of paths, ndarray, list of decoded pictures, or Pictures
            To give arrays their conditions in the other methods as well, pass
            ``vae_anomaly.detectors.images.image_list.open_pictures(X, conditions=...)``.
        conditions : array-like of shape (N,), optional
            What each picture shows, for ``model="conditional"``. A name that training has not
            seen is no error: see the class's notes.
        progress : callable, optional

        Returns
        -------
        ImageExamination

        Raises
        ------
        ImageError
            If a picture cannot be read; it is named.
        ConfigError
            If conditions are given to a model that has none.
        """
        check_is_fitted(self, "network_")
        if conditions is not None:
            check_conditions_wanted(self, conditions)
        pictures, tell, said = self._open(X, conditions), progress or null_progress, []
        if self.tile_size is not None:
            return examine_tiles(self, pictures, tell)
        for images, codes, n in full_batches(self, pictures):
            answer = first(self.network_(images, codes), n)
            said.append(masked_inspection(answer, self.foreground_))
            tell("score", sum(len(part.heat) for part in said), len(pictures))
        seen = judge(self, pictures.ids, said)
        heat, scored = (moved_back(maps, pictures) for maps in (seen.heat, seen.scored))
        return replace(seen, heat=heat, scored=scored)

    def _raw_score(self, X: Any) -> Floats:
        return self.examine(X).raw_score

    def evidence(self, X: Any) -> pd.DataFrame:
        """Return what speaks against each picture, in nats, higher = more anomalous.

        Returns
        -------
        DataFrame of N rows, index ``id``
            ``reconstruction_nll, kl, negative_elbo`` of the repair VAE (mean over networks; of the
            linear VAE with ``preset="fast"``) or of the member on pixels: its own KL, so that of
            an autoencoder is 0, of a VQ model log K per position, of a ladder against its
            top-down prior; ``linear_nll``, exact -log p of the linear VAE, 0 on pixels;
            ``heat_top_*``, -log p of each pooling of the scored map, see the class's notes;
            ``whole_picture``, -log p of exposure, contrast and colour; ``raw_score``, what is
            calibrated.
        """
        return self.examine(X).evidence

    # ------------------------------------------------------------------ saving

    def export_onnx(self, path: str | Path, *, picture_channels: int | None = None) -> OnnxExport:
        """Write all that follows decoding, from resizing to the p-value, as one ONNX file.

        Parameters
        ----------
        path : str or Path
            An existing file is replaced.
        picture_channels : {1, 3}, optional
            Channels of the pictures that the file takes; those of the model by default.

        Returns
        -------
        OnnxExport
            The file takes ``pictures``, uint8 (N, H, W, C) of any N, height and width, and gives
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

        check_is_fitted(self, "network_")
        return export_onnx(self, path, picture_channels=picture_channels)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled or copied: with the network on the processor, which all have."""
        state = dict(super().__getstate__())
        network = state.get("network_")
        if network is not None and device_of(network).type != "cpu":
            state["network_"] = deepcopy(network).cpu()
        return state

    def _state(self) -> DetectorState:
        return state_of(self)

    @classmethod
    def _from_state(cls, state: DetectorState, features: Any = None, device: str = "cpu") -> Self:
        detector = cls(**state.config, device=device)
        fill_detector(detector, state, features)
        if features is not None:
            detector.features = features
        return detector
