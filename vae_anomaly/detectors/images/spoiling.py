"""Paint synthetic defects on held-out normals, and score them as new images are.

Each is scored by the networks that have not seen the image, like the normals that calibrate: see
the table in `detectors.images.fit.bank`. The distances of the whole image, and the scales, are
those that are deployed; an image's own share in them is O(1/n). So the copies get the p-values that
a new image with the same defect would get.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from vae_anomaly.arrays import Bools, Floats, Floats32, Ints
from vae_anomaly.detectors.folds import evenly
from vae_anomaly.detectors.images.examination import masked_output, seen_in
from vae_anomaly.detectors.images.fit.bank import Fitted
from vae_anomaly.detectors.images.fit.kinds import one_of_each
from vae_anomaly.detectors.images.fit.maps import as_tensor
from vae_anomaly.detectors.images.fit.prediction import Prediction
from vae_anomaly.detectors.images.fit.training_set import TrainingSet
from vae_anomaly.detectors.images.image_list import CHUNK
from vae_anomaly.detectors.images.model import ImageModel, ImageNetwork
from vae_anomaly.detectors.images.place.placing import find_foreground
from vae_anomaly.detectors.images.tiles.examine import TilePlacing
from vae_anomaly.detectors.images.tiles.fit import tile_halves
from vae_anomaly.detectors.images.tiles.network import TiledNetwork
from vae_anomaly.detectors.images.tiles.spoiling import spoiled_tiles
from vae_anomaly.devices import exact_float32, to_device, torch_device

MOST_IMAGES: Final = 24
"""Held-out normals that get one defect of each kind and size."""

MOST_LARGE: Final = 12
"""The same of images that are cut into tiles, where each is more work."""

_SHAPES: Final = 3  # images that are asked for their size
_STREAM: Final = 13  # of random numbers, beside those of the fit

_Scored = tuple[list[tuple[str, int]], Floats]


def predict_found(
    model: ImageModel, fitted: Fitted[ImageNetwork], data: TrainingSet, device: str = "cpu"
) -> Prediction | None:
    """Score synthetic defects on held-out normals; None where no network can judge them."""
    if isinstance(model.network, TiledNetwork):
        return _in_tiles(model, model.network, data, device)
    if fitted.unseen is None:
        return None
    spec = model.network.spec
    rows = fitted.held_out[evenly(len(fitted.held_out), MOST_IMAGES)]
    images = [data.images.prepared(row, spec.image_size, spec.channels) for row in rows.tolist()]
    inside, scored = _inside(model, images), []
    for row, image in zip(rows.tolist(), images, strict=True):
        drawn = list(one_of_each(image, spec.channels, _seed(model, row), inside=inside))
        judge = replace(model, network=fitted.unseen(row))
        code = None if data.codes is None else int(data.codes[row])
        copies = np.stack([defect.image for _, _, defect in drawn])
        cells = [(kind, size) for kind, size, _ in drawn]
        scored.append((cells, _scores(judge, copies, code, device)))
    fitted.network.cpu()
    return _prediction(scored, _pixel(data, rows, spec.image_size))


def _in_tiles(
    model: ImageModel, network: TiledNetwork, data: TrainingSet, device: str
) -> Prediction:
    """Score synthetic defects on large images, each by the half's network that has not seen it."""
    halves, scored = tile_halves(data.groups, model.random_state), []
    placing, images = TilePlacing(model.placing, model.channels), data.images
    to_device(network, device)
    for row in evenly(len(images), MOST_LARGE).tolist():
        placed = placing(images.ids[row], images.pixels(row))
        judge = 1 - int(halves[row])
        cells, pooled, seen = spoiled_tiles(network, placed, judge, _seed(model, row))
        scored.append((cells, model.score(pooled, seen).raw_score))
    network.cpu()
    return _prediction(scored, 1.0)


def _seed(model: ImageModel, row: int) -> tuple[int, int, int]:
    return model.random_state, _STREAM, row


def _inside(model: ImageModel, images: Sequence[Floats32]) -> Bools | None:
    """Return where the part is, (S, S), where that is known or shows; None for everywhere."""
    foreground = model.placing.foreground or find_foreground(np.stack(images))
    return None if foreground is None else foreground.mask


def _scores(model: ImageModel, copies: Floats32, code: int | None, device: str) -> Floats:
    """Return the raw scores of copies (n, S, S, C) of one image."""
    place, scores = torch_device(device), []
    network = model.network.to(place)
    with torch.inference_mode(), exact_float32(place):
        for start in range(0, len(copies), CHUNK):
            pixels = as_tensor(copies[start : start + CHUNK]).to(place)
            known = None if code is None else torch.full((len(pixels),), code, device=place)
            output = masked_output(network(pixels, known).take(len(pixels)), model.placing)
            scores.append(model.score(*seen_in(output)).raw_score)
    return np.concatenate(scores)


def _pixel(data: TrainingSet, rows: Ints, side: int) -> float:
    """Return the side of a pixel that the model sees, in pixels of the images themselves."""
    shapes = np.array([data.images.shape(row) for row in rows[evenly(len(rows), _SHAPES)].tolist()])
    return float(np.median(np.sqrt(shapes.prod(axis=1)))) / side


def _prediction(scored: Sequence[_Scored], pixel: float) -> Prediction:
    cells = [cell for some, _ in scored for cell in some]
    return Prediction.of(cells, np.concatenate([raw for _, raw in scored]), pixel)
