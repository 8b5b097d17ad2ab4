"""Fit a member of the family to the pixels of good images.

One fold of whole groups is held out: it puts the heat on its scale and calibrates the scores.
Nothing else of the model has seen it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from vae_anomaly.arrays import AnyArray, Bools, Ints
from vae_anomaly.detectors.folds import evenly
from vae_anomaly.detectors.images.conditions import keep_each_condition, scale_rows
from vae_anomaly.detectors.images.features.filter_bank import FilterBank
from vae_anomaly.detectors.images.features.whole_image import N_LAYOUT
from vae_anomaly.detectors.images.fit.bank import Fitted, validation_terms
from vae_anomaly.detectors.images.fit.maps import as_tensor
from vae_anomaly.detectors.images.fit.training_set import TrainingSet, validation_split
from vae_anomaly.detectors.images.networks.bank import NetworkSpec
from vae_anomaly.detectors.images.networks.pixels import (
    PIXEL_MEMBERS,
    PIXEL_SIZE,
    PixelNetwork,
    model_name,
)
from vae_anomaly.detectors.images.networks.residuals import MapScale
from vae_anomaly.detectors.images.score.pooling import pool_maps_of_images
from vae_anomaly.detectors.images.settings import ImageSettings
from vae_anomaly.detectors.images.start import image_network_facts
from vae_anomaly.detectors.latent_space import MAX_REFERENCE
from vae_anomaly.detectors.warm_start import warmed
from vae_anomaly.devices import torch_device
from vae_anomaly.errors import NotEnoughDataError
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.vae.diagnostics import ACTIVE_SHARE, active_units, predict_collapse
from vae_anomaly.vae.priors import VampPrior
from vae_anomaly.vae.training import History, TrainingConfig, fit_vae
from vae_anomaly.vae.vq import VQVAE

logger = logging.getLogger(__name__)

_MOST_PROBES = 512  # images that a forecast is made of
_CHUNK = 64


def fit_pixel_network(
    settings: ImageSettings,
    data: TrainingSet,
    random_state: int,
    progress: Progress = null_progress,
) -> Fitted[PixelNetwork]:
    """Fit a VAE to pixels; one fold, as far as conditions can spare it, is held out."""
    network = PixelNetwork(_spec(settings, data), random_state)
    training = _read(data, network.spec, progress)
    held_out = keep_each_condition(data.folds == 0, data.codes, data.groups)
    if not held_out.any():
        raise NotEnoughDataError(
            f"Calibration holds out whole groups, and each of the {len(np.unique(data.groups))} "
            "groups is all there is of a condition. Give a finer groups=, or none."
        )
    _, stop = validation_split(data.groups, ~held_out, random_state)
    stop = keep_each_condition(stop | held_out, data.codes, data.groups) & stop
    train = ~held_out & ~stop
    config = settings.work.training(int(train.sum()), random_state, decay=None)
    config = replace(config, beta=_kl_weight(settings))
    metrics = _prepare(network, training.images[train], config.beta)
    if settings.start is not None:
        settings.start.require(image_network_facts(network.spec, data.conditions))
        settings.start.fill(network.vae, [0])
        config = warmed(config)
    network.vae.to(torch_device(settings.device))
    history = _train(network, training, train, stop, config, progress)
    heatmap, statistics = _calibrate(network, training, held_out)
    latents = _latents(network, training)
    metrics = {**validation_terms(history), **metrics, **_latent_metrics(network, latents)}
    shown = data.images.placing.masked(heatmap.numpy())
    return Fitted(
        network=network,
        held_out=np.flatnonzero(held_out),
        pooled=pool_maps_of_images(shown),
        heatmap=shown,
        statistics=statistics.numpy(),
        history=history,
        metrics=metrics,
        fingerprint=training.fingerprint,
        latents=latents.numpy(),
        unseen=lambda _: network,  # held-out normals it has not seen
    )


def _spec(settings: ImageSettings, data: TrainingSet) -> NetworkSpec:
    name = model_name(settings.model)
    description = PIXEL_MEMBERS[name].describe(
        data.channels,
        latent_dim=settings.latent_dim,
        n_conditions=len(data.conditions),
        n_images=len(data.images),
    )
    known = FilterBank(PIXEL_SIZE, data.channels).n_statistics - N_LAYOUT
    return NetworkSpec(
        name,
        PIXEL_SIZE,
        data.channels,
        description.latent_dim,
        0,
        description=description,
        n_statistics=known if data.conditions else None,  # a layout has no difference
    )


def _kl_weight(settings: ImageSettings) -> float:
    """Return the weight of the KL after its warm-up: the user's, the member's, or 1."""
    default = PIXEL_MEMBERS[model_name(settings.model)].beta
    return (1.0 if default is None else default) if settings.beta is None else settings.beta


@dataclass(frozen=True)
class _TrainingImages:
    """All training images at the size that the network sees, in memory."""

    images: Tensor
    statistics: Tensor
    codes: Tensor | None
    fingerprint: dict[str, int | str]

    def of(self, rows: AnyArray) -> Tensor | None:
        """Return the conditions of some images."""
        return None if self.codes is None else self.codes[torch.from_numpy(rows)]

    def extras(self, rows: AnyArray) -> dict[str, Tensor]:
        """Return what training tells the model besides the images."""
        codes = self.of(rows)
        return {} if codes is None else {"condition": codes}


def _read(data: TrainingSet, spec: NetworkSpec, progress: Progress) -> _TrainingImages:
    """Decode each image once; keep its pixels and its whole-image statistics."""
    digest, bank = sha256(), FilterBank(spec.image_size, spec.channels)
    images, statistics = [], []
    for where, pixels in data.images.chunks(spec.image_size, spec.channels, digest.update):
        images.append(as_tensor(pixels))
        statistics.append(bank(images[-1]).statistics)
        progress("features", where.stop, len(data.images))
    codes = None if data.codes is None else torch.from_numpy(data.codes)
    fingerprint = data.images.fingerprint(digest.hexdigest())
    return _TrainingImages(torch.cat(images), torch.cat(statistics), codes, fingerprint)


def _prepare(network: PixelNetwork, images: Tensor, kl_weight: float) -> dict[str, float]:
    """Learn the pixels' mean and sd, and say beforehand whether latents can survive."""
    network.shift.copy_(images.mean((0, 2, 3)).view(-1, 1, 1))
    network.spread.copy_(images.std((0, 2, 3)).clamp(min=1e-3).view(-1, 1, 1))
    x = network.standardise(images)
    _start_prior(network, x)
    return _forecast(network, x, kl_weight)


def _train(
    network: PixelNetwork,
    training: _TrainingImages,
    train: Bools,
    stop: Bools,
    config: TrainingConfig,
    progress: Progress,
) -> History:
    """Train the VAE where it lies; all is on the processor afterwards."""
    x = network.standardise(training.images)
    with torch.enable_grad():
        history = fit_vae(
            network.vae,
            x[train],
            validation=x[stop] if stop.any() else None,
            config=config,
            corruption=PIXEL_MEMBERS[network.spec.kind].corruption,
            extras=training.extras(train),
            validation_extras=training.extras(stop),
            progress=progress,
        )
    network.cpu().eval()
    return history


def _start_prior(network: PixelNetwork, x: Tensor) -> None:
    """Start the pseudo-inputs of a VampPrior at training images, evenly chosen."""
    prior = network.vae.prior
    if isinstance(prior, VampPrior):
        rows = torch.linspace(0, len(x) - 1, len(prior.pseudo_inputs)).long()
        with torch.no_grad():
            prior.pseudo_inputs.copy_(x[rows])


def _calibrate(
    network: PixelNetwork, training: _TrainingImages, held_out: Bools
) -> tuple[Tensor, Tensor]:
    """Set the scales by held-out images; return their heat and all statistics."""
    raw = _raw_maps(network, training, np.flatnonzero(held_out))
    network.heat_scale = MapScale.fit(raw)
    if network.levels is None or training.codes is None:
        return network.heat_scale(raw), training.statistics
    inside, codes = torch.from_numpy(~held_out), training.codes.numpy()
    network.levels.learn_usual(training.statistics[inside], training.codes[inside])
    for code in range(len(network.levels.mean)):
        rows = scale_rows(codes, held_out, code)
        network.levels.learn_scale(code, _raw_maps(network, training, rows))
    return (
        network.levels.heat(raw, training.codes[~inside]),
        network.levels.difference(training.statistics, training.codes),
    )


@torch.no_grad()
def _raw_maps(network: PixelNetwork, training: _TrainingImages, rows: Ints) -> Tensor:
    parts = [network.raw_map(training.images[i], training.of(i))[0] for i in _chunks(rows)]
    return torch.cat(parts)


def _forecast(network: PixelNetwork, x: Tensor, kl_weight: float) -> dict[str, float]:
    """Warn, before training, of a KL that will leave too few latents alive."""
    if PIXEL_MEMBERS[network.spec.kind].beta is None or len(x) < 2:
        return {}
    sigma2 = float(network.vae.likelihood.log_sigma.exp().square().mean())  # type: ignore[operator]  # members with beta have it
    n_latents = network.vae.latent_dim
    forecast = predict_collapse(x[:_MOST_PROBES], sigma2, kl_weight, n_latents)
    return {"expected_active_units": float(forecast.expected_active)}


@torch.no_grad()
def _latents(network: PixelNetwork, training: _TrainingImages) -> Tensor:
    """Return posterior means of training images at equal distances, (m, Z)."""
    rows = _chunks(evenly(len(training.images), MAX_REFERENCE))
    return torch.cat([network.latents(training.images[i], training.of(i)) for i in rows])


def _latent_metrics(network: PixelNetwork, latents: Tensor) -> dict[str, float]:
    """Count the latents that carry something, and warn when hardly any does."""
    if isinstance(network.vae, VQVAE):
        vae = network.vae
        used = len(torch.unique(vae.nearest(latents.reshape(len(latents), -1, vae.code_dim))))
        return _counted(used, vae.codebook_size, "codes are in use", "")
    remedy = ", or lower beta" if PIXEL_MEMBERS[network.spec.kind].beta else ""
    return _counted(active_units(latents), latents.shape[1], "latents are active", remedy)


def _chunks(rows: Ints) -> list[Ints]:
    return [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]


def _counted(active: int, total: int, what: str, remedy: str) -> dict[str, float]:
    if active < ACTIVE_SHARE * total:
        logger.warning(
            "Posterior collapse: %d of %d %s, so reconstructions say little of each image. Train "
            "longer (preset='thorough', larger max_steps), on more images, or choose a smaller "
            "latent_dim%s.",
            active, total, what, remedy,
        )  # fmt: skip
    return {"active_units": float(active), "latents": float(total)}
