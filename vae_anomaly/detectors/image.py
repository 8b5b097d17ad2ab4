"""The image detector: pictures of good parts in, p-values and heat maps out."""

from __future__ import annotations

import logging
import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from vae_anomaly.data.resizing import RESIZER
from vae_anomaly.detectors.base import BaseVAEDetector
from vae_anomaly.detectors.image_network import (
    NetworkSpec,
    build_network,
)
from vae_anomaly.detectors.image_source import (
    CHUNK,
    Pictures,
    decide_channels,
    open_pictures,
)
from vae_anomaly.detectors.image_training import (
    MIN_PICTURES,
    N_FOLDS,
    PRESETS,
    FittedNetwork,
    Preset,
    assign_folds,
    fit_bank_network,
    fit_pixel_network,
    read_training_maps,
    reference_latents,
)
from vae_anomaly.detectors.latent_space import LatentSpaceMixin
from vae_anomaly.errors import ConfigError, DataError, ModelRefusedError, NotEnoughDataError
from vae_anomaly.features import FilterBank
from vae_anomaly.persistence import DetectorState
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.scoring.calibration import ConformalCalibration
from vae_anomaly.scoring.heatmaps import Region, enlarge, find_regions, region_level
from vae_anomaly.scoring.image_score import GLOBAL_FROM, ImageScore
from vae_anomaly.thresholds import Threshold
from vae_anomaly.training import History

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ImageExamination", "ImageVAEDetector"]

Floats = NDArray[np.float64]
Heat = NDArray[np.float32]
logger = logging.getLogger(__name__)

MODELS: Final = ("bank", "conv")
_CONV_SIZE: Final = 64
_CONV_LATENTS: Final = 128
_SELF_TEST_WARNING: Final = 0.65
_MANY: Final = 1000


@dataclass(frozen=True)
class ImageExamination:
    """All that one pass over pictures yields.

    Attributes
    ----------
    ids : tuple of str
    raw_score : ndarray of shape (N,), float64, nats
        Higher = more anomalous; what the calibration turns into p-values.
    anomaly_score : ndarray of shape (N,), float64
        -log10 p, higher = more anomalous.
    p_value : ndarray of shape (N,), float64, in (0, 1]
    heat : ndarray of shape (N, G, G), float32
        Map on the grid of cells, in sd of held-out normals.
    evidence : DataFrame of N rows
        As `ImageVAEDetector.evidence`.
    """

    ids: tuple[str, ...]
    raw_score: Floats
    anomaly_score: Floats
    p_value: Floats
    heat: Heat
    evidence: pd.DataFrame


class ImageVAEDetector(LatentSpaceMixin[Heat], BaseVAEDetector):
    """Learn good parts from their pictures; score, and show where a new one differs.

    A closed-form linear VAE on a fixed filter bank explains the whole picture; convolutional repair
    VAEs, trained on the ELBO to take synthetic defects away, explain what it leaves. What neither
    can explain, measured in units of held-out normals, is the heat map; its tails are the score.

    Parameters
    ----------
    image_size : int, pixels
        Pictures are resized to a square of this side; a multiple of 16. The smallest defect that
        can be found covers about two of these pixels.
    preset : {"fast", "default", "thorough"}
        Work spent on training: closed form only, two repair VAEs, or four trained for longer.
    model : {"bank", "conv"}
        ``conv`` is the plain convolutional VAE of the tutorials on 64-pixel pictures, to compare.
    channels : {None, 1, 3}
        Grey or colour; None lets the training pictures decide.
    target_fpr : float in (0, 1)
        Share of normals that the default threshold flags.
    latent_dim : int, optional
        Latents of the linear level (default: a sixth of the pictures, at most 120) or of the
        plain VAE (128).
    max_steps : int, optional
        Bound on the optimisation steps of each network, instead of the preset's.
    random_state : int, optional
        Same seed, same pictures and same machine: same model. None draws a seed, kept in
        ``random_state_``.

    Attributes
    ----------
    network_ : BankNetwork or PixelNetwork
    image_score_ : ImageScore
    heat_level_ : float
        Heat that only ``target_fpr`` of held-out normals (5 % at least) exceed anywhere; regions
        and contours are drawn there.
    channels_ : {1, 3}
    latents_ : ndarray of shape (M, Z), float32, or None
        Posterior means of at most 2,000 training pictures; None of a model saved without them.
    random_state_ : int

    Notes
    -----
    The same picture gets the same score alone, in any batch and after reload, to 1e-4 in the raw
    score on one machine; across machines and thread counts rounding differs by about as much.

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
        channels: int | None = None,
        target_fpr: float = 0.01,
        latent_dim: int | None = None,
        max_steps: int | None = None,
        random_state: int | None = None,
    ) -> None:
        self.image_size = image_size
        self.preset = preset
        self.model = model
        self.channels = channels
        self.target_fpr = target_fpr
        self.latent_dim = latent_dim
        self.max_steps = max_steps
        self.random_state = random_state

    # ------------------------------------------------------------------ training

    def fit(
        self, X: Any, y: Any = None, *, groups: Any = None, progress: Progress | None = None
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
        progress : callable, optional
            ``progress(stage, done, total)`` with the stages features, linear, train.

        Returns
        -------
        self

        Raises
        ------
        NotEnoughDataError
            If there are fewer than 8 pictures or 2 groups.
        ImageError
            If pictures cannot be read; they are named.
        DataError
            If there are no pictures.
        ConfigError
            If a parameter has no meaning.
        """
        self._check_parameters()
        pictures = open_pictures(X, training=True)
        if len(pictures) < MIN_PICTURES:
            raise NotEnoughDataError(
                f"An image detector needs at least {MIN_PICTURES} pictures of good parts; got "
                f"{len(pictures)}. Take more pictures; 100 and more give useful thresholds."
            )
        self.random_state_ = (
            secrets.randbits(31) if self.random_state is None else self.random_state
        )
        self.channels_ = self.channels or decide_channels(pictures)
        members = _group_names(groups, pictures)
        folds = assign_folds(members, N_FOLDS, self.random_state_)
        with torch.no_grad():
            fitted, statistics = self._fit_network(
                pictures, members, folds, progress or null_progress
            )
        self._take(fitted, statistics, folds)
        return self

    def _fit_network(
        self, pictures: Pictures, groups: NDArray[Any], folds: NDArray[Any], progress: Progress
    ) -> tuple[FittedNetwork, Heat]:
        """Return the fitted network and the whole-picture statistics of all pictures."""
        preset, seed = self._chosen_preset(), self.random_state_
        if self.model == "conv":
            spec = NetworkSpec(
                "conv", _CONV_SIZE, self.channels_, self.latent_dim or _CONV_LATENTS, 0
            )
            bank = FilterBank(_CONV_SIZE, self.channels_)
            data = read_training_maps(pictures, bank, 0, seed, progress)
            fitted = fit_pixel_network(pictures, groups, folds, spec, preset, seed, progress)
        else:
            spec = NetworkSpec(
                "bank", self.image_size, self.channels_, self.latent_dim or 0,
                preset.n_networks, preset.width,
            )  # fmt: skip
            bank = FilterBank(self.image_size, self.channels_)
            data = read_training_maps(pictures, bank, preset.copies, seed, progress)
            fitted = fit_bank_network(data, groups, folds, spec, preset, seed, progress)
        self.fingerprint_ = data.fingerprint
        self.latents_ = reference_latents(fitted.network, data.maps, pictures)
        return fitted, data.statistics.numpy()

    def _take(self, fitted: FittedNetwork, statistics: Heat, folds: NDArray[Any]) -> None:
        """Keep the network and calibrate it on the normals that it has not seen."""
        self.network_, self.history_ = fitted.network, fitted.history
        self.image_score_, raw = ImageScore.fit(fitted.heat, statistics, folds, fitted.held_out)
        self.heat_level_ = region_level(fitted.heat, max(self.target_fpr, 0.05))
        self._calibrate(raw)
        self.metrics_ = {
            **fitted.metrics,
            "n_pictures": float(len(statistics)),
            "n_held_out": float(len(raw)),
            "held_out_raw_score_mean": float(raw.mean()),
        }
        visible = fitted.metrics.get("self_test_auroc", 1.0)
        if visible < _SELF_TEST_WARNING:
            logger.warning(
                "Self-test: synthetic defects rank above good pictures only %.0f %% of the time: "
                "this model can hardly see defects on these parts. Try a larger image_size or "
                "steadier pictures.",
                100.0 * visible,
            )

    def _chosen_preset(self) -> Preset:
        preset = PRESETS[self.preset]
        if self.max_steps is None:
            return preset
        return replace(
            preset,
            min_steps=min(preset.min_steps, self.max_steps),
            max_steps=min(preset.max_steps, self.max_steps),
        )

    def _check_parameters(self) -> None:
        for name, value, choices in (
            ("preset", self.preset, tuple(PRESETS)),
            ("model", self.model, MODELS),
            ("channels", self.channels, (None, 1, 3)),
        ):
            if value not in choices:
                raise ConfigError(
                    f"The {name!r} parameter of ImageVAEDetector must be one of "
                    f"{', '.join(map(str, choices))}. Got {value!r}."
                )
        if self.image_size < 64 or self.image_size % 16:
            raise ConfigError(
                "The 'image_size' parameter of ImageVAEDetector must be a multiple of 16 of at "
                f"least 64. Got {self.image_size}."
            )
        if self.max_steps is not None and self.max_steps < 1:
            raise ConfigError(
                f"The 'max_steps' parameter must be at least 1. Got {self.max_steps}."
            )

    # ------------------------------------------------------------------ scoring

    def examine(self, X: Any, *, progress: Progress | None = None) -> ImageExamination:
        """Score pictures and keep map and evidence, in one pass.

        Parameters
        ----------
        X : folder, manifest, path, list of paths, ndarray, or list of decoded pictures
        progress : callable, optional

        Returns
        -------
        ImageExamination

        Raises
        ------
        ImageError
            If a picture cannot be read; it is named.
        """
        check_is_fitted(self, "network_")
        pictures = open_pictures(X)
        tell = progress or null_progress
        heat, statistics, terms = [], [], []
        for images, n in self._batches(pictures):
            said = self.network_(images)
            heat.append(said.heat[:n].numpy())
            statistics.append(said.statistics[:n].numpy())
            terms.append(torch.stack((said.nll, said.kl, said.linear_nll), 1)[:n].numpy())
            tell("score", sum(map(len, heat)), len(pictures))
        return self._judge(pictures.ids, *map(np.concatenate, (heat, statistics, terms)))

    def _judge(
        self, ids: tuple[str, ...], heat: Heat, statistics: Heat, terms: Heat
    ) -> ImageExamination:
        said = self.image_score_(heat, statistics)
        nll, kl, linear_nll = terms.astype(np.float64).T
        columns = {
            "reconstruction_nll": nll,
            "kl": kl,
            "negative_elbo": nll + kl,
            "linear_nll": linear_nll,
            **said.columns(),
            "raw_score": said.raw_score,
        }
        raw = said.raw_score
        return ImageExamination(
            ids=ids,
            raw_score=raw,
            anomaly_score=self.calibration_.anomaly_score(raw),
            p_value=self.calibration_.p_value(raw),
            heat=heat,
            evidence=pd.DataFrame(columns, index=pd.Index(ids, name="id")),
        )

    def _batches(self, pictures: Pictures) -> Iterator[tuple[torch.Tensor, int]]:
        """Yield full chunks (8, C, S, S) and how many of their pictures are real."""
        size = self.network_.spec.image_size
        with torch.inference_mode():
            for _, images in pictures.chunks(size, self.channels_):
                n = len(images)
                full = np.concatenate([images, np.repeat(images[-1:], CHUNK - n, axis=0)])
                batch = torch.from_numpy(np.ascontiguousarray(full.transpose(0, 3, 1, 2)))
                yield batch, n

    def _raw_score(self, X: Any) -> Floats:
        return self.examine(X).raw_score

    def evidence(self, X: Any) -> pd.DataFrame:
        """Return what speaks against each picture, in nats, higher = more anomalous.

        Returns
        -------
        DataFrame of N rows, index ``id``
            ``reconstruction_nll, kl, negative_elbo`` of the repair VAE (mean over networks; of the
            linear VAE with ``preset="fast"``); ``linear_nll``, exact -log p of the linear VAE;
            ``heat_top_*``, -log p of each pooling of the map; ``whole_picture``, -log p of
            exposure, contrast and colour; ``raw_score``, what is calibrated.
        """
        return self.examine(X).evidence

    def heatmap(self, X: Any, *, size: tuple[int, int] | None = None) -> Heat:
        """Return where pictures differ from good ones, on one scale for all pictures.

        Parameters
        ----------
        X : as `examine`
        size : (height, width), optional
            Defaults to the model's ``image_size``.

        Returns
        -------
        ndarray of shape (N, H, W), float32
            In sd of held-out normals: 0 is usual, higher = more anomalous.
        """
        side = self.image_size
        return enlarge(self.examine(X).heat, size or (side, side))

    def regions(self, X: Any, *, level: float | None = None) -> list[list[Region]]:
        """Return boxes of what is too hot, in pixels of each picture itself, hottest first.

        Parameters
        ----------
        X : as `examine`
        level : float, optional
            In sd of held-out normals; ``heat_level_`` by default.
        """
        pictures = open_pictures(X)
        heat = self.examine(pictures).heat
        bound = self.heat_level_ if level is None else level
        return [
            find_regions(enlarge(heat[i : i + 1], pictures.shape(i))[0], bound)
            for i in range(len(pictures))
        ]

    def explain(self, X: Any, *, level: float | None = None) -> pd.DataFrame:
        """Return one row for each region that is too hot.

        Returns
        -------
        DataFrame
            ``id, rank, top, left, bottom, right`` in pixels of the picture itself, ``area_share``
            of the picture, ``peak`` and ``mean`` heat in sd of held-out normals. A picture without
            such a region has no row.
        """
        pictures = open_pictures(X)
        rows = [
            {"id": name, "rank": rank, **asdict(region)}
            for name, regions in zip(pictures.ids, self.regions(pictures, level=level), strict=True)
            for rank, region in enumerate(regions, start=1)
        ]
        names = ["id", "rank", *Region.__dataclass_fields__]
        return pd.DataFrame(rows, columns=names)

    def reasons(self, X: Any, top: int = 3) -> list[list[str]]:
        """Say in words what is strange about each picture, the strongest first.

        Returns
        -------
        list of N lists of at most ``top`` str
            Empty for a picture of which nothing exceeds what held-out normals show.
        """
        pictures = open_pictures(X)
        evidence = self.examine(pictures).evidence
        whole = evidence["whole_picture"].to_numpy()
        local = evidence.filter(like="heat_top").sum(axis=1).to_numpy()
        return [
            _in_order(
                _whole_reason(whole[i]),
                [_region_reason(r) for r in regions],
                whole_first=whole[i] - GLOBAL_FROM > local[i],
            )[:top]
            for i, regions in enumerate(self.regions(pictures))
        ]

    def reconstruct(self, X: Any) -> Heat:
        """Return what the VAE expects in place of each picture.

        Returns
        -------
        ndarray of shape (N, s, s), or (N, s, s, 3) for the plain VAE in colour, float32 in [0, 1]
            For ``model="bank"`` a preview of brightness at a quarter of the resolution: the model
            explains log-energies of filters, of which only the level can be shown as a picture.
        """
        check_is_fitted(self, "network_")
        parts = [self.network_.preview(images)[:n] for images, n in self._batches(open_pictures(X))]
        return _as_pictures(torch.cat(parts))

    # ------------------------------------------------------------------ latent space

    def transform(self, X: Any) -> Heat:
        """Return the posterior means of pictures, shape (N, Z), float32.

        Of ``model="bank"`` those of the linear VAE, the strongest latent first.
        """
        check_is_fitted(self, "network_")
        pictures = self._batches(open_pictures(X))
        return np.concatenate([self.network_.latents(images)[:n].numpy() for images, n in pictures])

    @torch.inference_mode()
    def _decode(self, z: Heat) -> Heat:
        parts = torch.split(torch.from_numpy(z), 64)
        return _as_pictures(torch.cat([self.network_.decode(part) for part in parts]))

    def _draw_prior(self, n: int, generator: torch.Generator) -> torch.Tensor:
        with torch.inference_mode():
            return self.network_.draw_prior(n, generator)

    def _latent_reference(self) -> Heat | None:
        check_is_fitted(self, "network_")
        return self.latents_

    def _one(self, item: Any) -> Any:
        """Return a single picture, given as a path or an array with or without a batch axis."""
        if not isinstance(item, np.ndarray):
            return item
        single = item.ndim == 2 or (item.ndim == 3 and item.shape[2] in (3, 4))
        return item[None] if single else item

    # ------------------------------------------------------------------ saving

    def _state(self) -> DetectorState:
        weights = {k: v.numpy(force=True) for k, v in self.network_.state_dict().items()}
        calibration = {
            "raw_scores": self.calibration_.reference,
            "heat_level": np.array([self.heat_level_]),
            **self.image_score_.state(),
        }
        if self.latents_ is not None:
            calibration["latents"] = self.latents_
        return DetectorState(
            kind=self.kind,
            config=self.get_params(),
            preprocessing={
                "resizer": RESIZER,
                "network": asdict(self.network_.spec),
                "random_state": self.random_state_,
            },
            weights=weights,
            calibration=calibration,
            threshold=self.threshold_.to_dict(),
            fingerprint=self.fingerprint_,
            metrics=self.metrics_,
        )

    @classmethod
    def _from_state(cls, state: DetectorState) -> Self:
        _check_preprocessing(state)
        try:
            detector = cls(**state.config)
            spec = NetworkSpec(**state.preprocessing["network"])
            network = build_network(spec)
            tensors = {k: torch.from_numpy(v.copy()) for k, v in state.weights.items()}
            network.load_state_dict(tensors)
            arrays: dict[str, Any] = dict(state.calibration)
            reference, level = arrays.pop("raw_scores"), arrays.pop("heat_level")
            detector.latents_ = arrays.pop("latents", None)  # older models have none
            detector.image_score_ = ImageScore.from_state(arrays)
        except (KeyError, TypeError, RuntimeError) as err:
            raise ModelRefusedError(
                f"The image model does not hold what its kind needs: {err}. Train it again."
            ) from err
        detector.network_, detector.channels_ = network, spec.channels
        detector.random_state_ = int(state.preprocessing["random_state"])
        detector.calibration_ = ConformalCalibration.fit(reference)
        detector.heat_level_ = float(level[0])
        detector.threshold_ = Threshold.from_dict(state.threshold or {})
        detector.fingerprint_, detector.metrics_ = state.fingerprint, state.metrics
        detector.history_ = History()
        return detector


def _as_pictures(images: torch.Tensor) -> Heat:
    """Return (N, C, s, s) as (N, s, s) or (N, s, s, 3)."""
    pictures: Heat = images.permute(0, 2, 3, 1).numpy()
    return pictures[..., 0] if pictures.shape[3] == 1 else pictures


def _check_preprocessing(state: DetectorState) -> None:
    resizer = state.preprocessing.get("resizer")
    if resizer != RESIZER:
        raise ModelRefusedError(
            f"The image model was trained with the resizer {resizer!r}; this version has "
            f"{RESIZER!r}, and scores would shift. Train it again or install the older version."
        )


def _group_names(groups: Any, pictures: Pictures) -> NDArray[Any]:
    """Return a group for each picture; a picture without one is a group of its own."""
    if groups is None:
        return np.array([g if g is not None else f"\0{i}" for i, g in enumerate(pictures.groups)])
    names = np.asarray(groups).reshape(-1)
    if len(names) != len(pictures):
        raise DataError(
            f"groups must name one group for each picture: got {len(names)} for {len(pictures)} "
            "pictures. Give them in the order of the pictures (a folder is sorted by name)."
        )
    return names.astype(str)


def _region_reason(region: Region) -> str:
    return (
        f"differs at x {region.left}-{region.right}, y {region.top}-{region.bottom} "
        f"({100.0 * region.area_share:.2g} % of the picture), up to {region.peak:.1f} sd"
    )


def _in_order(whole: list[str], local: list[str], *, whole_first: bool) -> list[str]:
    return whole + local if whole_first else local[:1] + whole + local[1:]


def _whole_reason(surprise: float) -> list[str]:
    if surprise < GLOBAL_FROM:
        return []
    share = max(1, round(float(np.exp(min(surprise, 20.0)))))
    many = f"fewer than 1 in {min(share, _MANY):,} good pictures"
    return [f"brightness, contrast or colour of the whole picture is such in {many}"]
