"""Settings and images in, a model out; and what is to be said of the fit."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import torch

from vae_anomaly.arrays import Bools, Floats, Ints
from vae_anomaly.detectors.held_out import HeldOut
from vae_anomaly.detectors.images.conditions import few_images, spared_conditions
from vae_anomaly.detectors.images.fine.filters import FineFilters
from vae_anomaly.detectors.images.fit.bank import BankTask, Fitted, fit_bank_network
from vae_anomaly.detectors.images.fit.maps import chosen_bank, few_chunks, read_training_maps
from vae_anomaly.detectors.images.fit.pixels import fit_pixel_network
from vae_anomaly.detectors.images.fit.training_set import TrainingSet, shared_groups, training_set
from vae_anomaly.detectors.images.heatmaps import least_share, region_level
from vae_anomaly.detectors.images.held_out import HeldOutImages, held_out_images
from vae_anomaly.detectors.images.image_list import ImageList
from vae_anomaly.detectors.images.model import ImageModel, ImageNetwork
from vae_anomaly.detectors.images.networks.bank import BankNetwork
from vae_anomaly.detectors.images.networks.pixels import model_name
from vae_anomaly.detectors.images.outliers import (
    OverExposed,
    odd_images,
    raw_scores,
    strange_as_a_whole,
)
from vae_anomaly.detectors.images.place.placing import Placing
from vae_anomaly.detectors.images.score.earlier import EarlierScore
from vae_anomaly.detectors.images.score.image_score import ImageScore
from vae_anomaly.detectors.images.settings import ImageSettings
from vae_anomaly.detectors.images.spoiling import predict_found
from vae_anomaly.detectors.images.start import image_network_facts
from vae_anomaly.detectors.images.tiles.fit import fit_tiles
from vae_anomaly.devices import exact_float32, torch_device
from vae_anomaly.errors import NotEnoughDataError
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.scoring.outliers import most_left_out
from vae_anomaly.vae.training import History

logger = logging.getLogger(__name__)

MIN_IMAGES: Final = 8

_REFITS: Final = 2  # fits without outliers, after the first with all images


@dataclass(frozen=True)
class FittedImages:
    """A model with what calibrates it, and what is known of its training.

    Attributes
    ----------
    held_out : HeldOutImages
        Normals that nothing was fitted on, with their raw scores, nats.
    fingerprint : dict
        Number and SHA-256 of the images.
    left_out : ImageList
        Outliers that nothing was fitted to.
    causes : tuple of str
        What their pixels say, of each; empty where only a model finds it strange.
    """

    model: ImageModel
    held_out: HeldOutImages
    history: History
    metrics: dict[str, float]
    fingerprint: dict[str, int | str]
    left_out: ImageList
    causes: tuple[str, ...]


def fit_images(
    settings: ImageSettings,
    images: ImageList,
    groups: object,
    random_state: int,
    progress: Progress = null_progress,
) -> FittedImages:
    """Fit a model to images of good parts, and judge those that it has not seen.

    Where a few of them stand out from the others, it is fitted again without them; at most twice.
    Settings are checked already. It raises what `ImageVAEDetector.fit` does.
    """
    if len(images) < MIN_IMAGES:
        raise NotEnoughDataError(
            f"An image detector needs at least {MIN_IMAGES} images of good parts; got "
            f"{len(images)}. Take more images; 100 and more give useful thresholds."
        )
    known = _Judged.fit(settings, images, groups, random_state, progress)
    names, kept, n_calibrating = known.data.groups, np.arange(len(images)), 0
    if settings.outliers == "keep":
        return known.result(images.take(kept[:0]), (), 0, kept)
    white = OverExposed.look(known.data.images)
    for _ in range(_REFITS):
        odd = known.odd_ones(white.found[kept], len(images))
        if not len(odd):
            break
        found, without = kept[odd], known
        while len(found):  # until the model that was fitted without them finds all of them strange
            rest = np.setdiff1d(kept, found)
            without = _Judged.fit(settings, images.take(rest), names[rest], random_state, progress)
            is_strange = white.found[found] | without.finds_strange(images.take(found))
            if is_strange.all():
                break
            found = found[is_strange]
        if not len(found):
            break
        n_calibrating += int(np.isin(found, kept[known.fitted.held_out]).sum())
        kept, known = np.setdiff1d(kept, found), without
    left_out = np.setdiff1d(np.arange(len(images)), kept)
    causes = tuple(white.words(i) for i in left_out.tolist())
    return known.result(images.take(left_out), causes, n_calibrating, kept)


@dataclass(frozen=True)
class _Judged:
    """A network, and the scores of those normals that it has not seen."""

    settings: ImageSettings
    random_state: int
    data: TrainingSet
    fitted: Fitted[ImageNetwork]
    score: ImageScore
    raw: Floats

    @classmethod
    def fit(
        cls,
        settings: ImageSettings,
        images: ImageList,
        groups: object,
        random_state: int,
        progress: Progress,
    ) -> _Judged:
        data = training_set(settings, images, groups, random_state)
        fitted: Fitted[ImageNetwork]
        with exact_float32(torch_device(settings.device)):
            if settings.tile_size is None:
                fitted = fit_network(settings, data, random_state, progress)
            else:
                fitted = fit_tiles(settings, data, random_state, progress)
        seen = fitted.pooled, fitted.statistics, data.folds, fitted.held_out
        score, raw = ImageScore.fit(*seen, fitted.peaks, fitted.material)
        return cls(settings, random_state, data, fitted, score, raw)

    @property
    def model(self) -> ImageModel:
        """All that scoring needs."""
        level = region_level(self.fitted.heatmap, least_share(self.settings.target_fpr))
        return ImageModel(
            self.fitted.network,
            self.score,
            self.data.images.placing,
            level,
            self.random_state,
            self.data.conditions,
            self.fitted.latents,
            features_why=self.settings.why,
        )

    @cached_property
    def sums(self) -> tuple[EarlierScore, Floats]:
        """What has no bound, as raw scores of held-out normals have: the score that adds up."""
        fitted = self.fitted
        return EarlierScore.fit(fitted.pooled, fitted.statistics, self.data.folds, fitted.held_out)

    def odd_ones(self, over_exposed: Bools, n_images: int) -> Ints:
        """Return which images stand out so far that a fit without them is to be tried.

        Those that are ``over_exposed`` do. Of ``n_images``, the first fit's, only a few may be left
        out.
        """
        data, fitted = self.data, self.fitted
        n = len(data.images)
        most = min(most_left_out(n_images) - (n_images - n), n - MIN_IMAGES)
        if most <= 0:
            return np.empty(0, np.int64)
        seen = fitted.pooled, fitted.held_out, fitted.statistics
        odd = odd_images(*seen, data.folds, data.groups, over_exposed, most)
        return odd if data.codes is None else spared_conditions(odd, data.codes)

    def finds_strange(self, images: ImageList) -> Bools:
        """Tell which images that it was not fitted to score above all held-out normals."""
        (score, sums), device = self.sums, self.settings.device
        is_strange = raw_scores(images, replace(self.model, score=score), device) > sums.max()
        return np.asarray(is_strange | strange_as_a_whole(images, self.model, device))

    def result(
        self, left_out: ImageList, causes: tuple[str, ...], n_calibrating: int, kept: Ints
    ) -> FittedImages:
        """Return the model with what is known of it, and say what its owner should hear of.

        ``kept`` is where its images stand among all.
        """
        data, fitted, raw = self.data, self.fitted, self.raw
        metrics = {
            **fitted.metrics,
            "n_images": float(len(fitted.statistics)),
            "n_held_out": float(len(raw)),
            **data.stored.metrics(),
            **_placing_metrics(self.settings, data.images.placing),
            "held_out_raw_score_mean": float(raw.mean()),
        }
        if len(left_out):
            metrics |= {"left_out": float(len(left_out)), "dropped_held_out": float(n_calibrating)}
        _warn_of_few(data, fitted.held_out)
        shared = shared_groups(data.groups[fitted.held_out])
        held = held_out_images(HeldOut(kept[fitted.held_out], raw, shared), fitted.heatmap)
        facts = fitted.history, metrics, fitted.fingerprint
        prediction = predict_found(self.model, fitted, data, self.settings.device)
        model = replace(self.model, prediction=prediction)
        return FittedImages(model, held, *facts, left_out, causes)


def _placing_metrics(settings: ImageSettings, placing: Placing) -> dict[str, float]:
    """Say what was made of ``register`` and ``foreground``, where they were asked for."""
    metrics = {}
    if settings.register != "off":
        metrics["registered"] = float(placing.registration is not None)
    if settings.foreground != "off":
        foreground = placing.foreground
        metrics["foreground_share"] = 1.0 if foreground is None else foreground.share
    return metrics


def _warn_of_few(data: TrainingSet, held_out: Ints) -> None:
    """Warn of conditions with few images, of which the numbers ``held_out`` calibrate."""
    if data.codes is None:
        return
    is_held_out = np.isin(np.arange(len(data.codes)), held_out)
    few = few_images(data.conditions, data.codes, is_held_out)
    if few:
        logger.warning(
            "Few images of %s: what is usual for them is hardly known, so expect more "
            "alarms there. Give 25 and more of every product.",
            ", ".join(few),
        )


@torch.no_grad()
def fit_network(
    settings: ImageSettings, data: TrainingSet, random_state: int, progress: Progress
) -> Fitted[ImageNetwork]:
    """Fit the model that the settings name; `fit.bank` says what saw what."""
    if model_name(settings.model) == "bank":
        return _fit_bank(settings, data, random_state, progress)
    return fit_pixel_network(settings, data, random_state, progress)


def _fit_bank(
    settings: ImageSettings, data: TrainingSet, random_state: int, progress: Progress
) -> Fitted[BankNetwork]:
    work, device, size = settings.work, torch_device(settings.device), settings.image_size
    few = few_chunks(data.images, size, data.channels)
    spec, bank = chosen_bank(settings, size, data.channels, work.n_networks, few)
    filters = FineFilters(size, data.channels)
    maps = read_training_maps(
        data.images, bank.to(device), work.copies, random_state, progress, filters
    )
    placing = data.images.placing
    pose, start = settings.pose, settings.start
    if start is not None:
        start.require(image_network_facts(spec))
    task = BankTask(spec, work, random_state, pose, bank.cpu(), device, placing, start)
    return fit_bank_network(maps, data.groups, data.folds, task, progress)
