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
from vae_anomaly.detectors.images.fit.kinds import DEFECT_KINDS, draw_defect, kinds_of
from vae_anomaly.detectors.images.fit.maps import as_tensor
from vae_anomaly.detectors.images.fit.prediction import Prediction
from vae_anomaly.detectors.images.fit.training_set import TrainingSet
from vae_anomaly.detectors.images.image_list import CHUNK
from vae_anomaly.detectors.images.model import ImageModel, ImageNetwork
from vae_anomaly.detectors.images.place.placing import find_foreground
from vae_anomaly.devices import exact_float32, torch_device

MOST_IMAGES: Final = 24
"""Held-out normals that get one defect of each kind and size."""

_SHAPES: Final = 3  # images that are asked for their size

_Cell = tuple[int, int]
"""Number of a kind, and a size in pixels."""


def predict_found(
    model: ImageModel, fitted: Fitted[ImageNetwork], data: TrainingSet, device: str = "cpu"
) -> Prediction | None:
    """Score synthetic defects on held-out normals; None where no network can judge them."""
    if fitted.unseen is None:
        return None
    spec = model.network.spec
    rows = fitted.held_out[evenly(len(fitted.held_out), MOST_IMAGES)]
    images = [data.images.prepared(row, spec.image_size, spec.channels) for row in rows.tolist()]
    inside, scored = _inside(model, images), []
    for row, image in zip(rows.tolist(), images, strict=True):
        cells, copies = _spoiled(image, inside, [model.random_state, 13, row])
        code = None if data.codes is None else int(data.codes[row])
        scored.append(
            (cells, _scores(replace(model, network=fitted.unseen(row)), copies, code, device))
        )
    fitted.network.cpu()
    return _prediction(scored, _pixel(data, rows, spec.image_size))


def _inside(model: ImageModel, images: Sequence[Floats32]) -> Bools | None:
    """Return where the part is, (S, S), where that is known or shows; None for everywhere."""
    foreground = model.placing.foreground or find_foreground(np.stack(images))
    return None if foreground is None else foreground.mask


def _spoiled(
    image: Floats32, inside: Bools | None, seed: Sequence[int]
) -> tuple[list[_Cell], Floats32]:
    """Return copies (n, S, S, C) of an image with one defect of each kind and size that shows."""
    side, channels = image.shape[1:]
    cells, copies = [], []
    for kind, sizes in kinds_of(side, channels).items():
        code = list(DEFECT_KINDS).index(kind)
        for size in sizes:
            generator = np.random.default_rng([*seed, code, size])
            drawn = draw_defect(image, kind, size, generator, inside=inside)
            if drawn is not None:
                cells.append((code, size))
                copies.append(drawn.image)
    return cells, np.stack(copies)


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


def _prediction(scored: Sequence[tuple[list[_Cell], Floats]], pixel: float) -> Prediction:
    kind, size = np.array([cell for cells, _ in scored for cell in cells], np.int64).T
    return Prediction(kind, size, np.concatenate([raw for _, raw in scored]), pixel)
