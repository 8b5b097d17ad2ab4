"""A training may begin with the weights of a model that is built alike, and of no other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tracking.real_models import surface, transactions

from vae_anomaly import ImageVAEDetector, TabularVAEDetector
from vae_anomaly.detectors.begin import begin_with
from vae_anomaly.errors import ModelRefusedError


def table(**parameters: object) -> TabularVAEDetector:
    given = {"preset": "fast", "max_steps": 8, "random_state": 0, **parameters}
    return TabularVAEDetector(**given)


def images(**parameters: object) -> ImageVAEDetector:
    given = {"image_size": 64, "preset": "fast", "max_steps": 2, "random_state": 0, **parameters}
    return ImageVAEDetector(**given)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.stack([np.asarray(surface(seed)) for seed in range(24)])


@pytest.fixture(scope="module")
def first() -> TabularVAEDetector:
    return table(max_steps=60, preset="default").fit(transactions(300, 1))


def test_a_table_begins_where_the_earlier_model_ended(first):
    rows = transactions(300, 2)
    cold, warm = (table(preset="default", max_steps=2).fit(rows) for _ in range(2))
    before = {name: one.clone() for name, one in first.model_.main.network.vae.named_parameters()}
    begin_with(warm, first)
    warm.fit(rows)
    records = [one.history_.records[-1]["val_elbo"] for one in (cold, warm)]
    assert records[1] > records[0] + 0.3
    assert warm.history_.records[-1]["step"] == 1
    for name, one in first.model_.main.network.vae.named_parameters():
        assert torch.equal(one, before[name]), "the earlier model has changed"


@pytest.mark.parametrize(
    ("rows", "parameters", "differs"),
    [
        (
            transactions(80, 3).drop(columns="online"),
            {},
            "column 'online' is numeric in 1 feature in it and not",
        ),
        (transactions(80, 3).assign(merchant="books"), {}, "column 'merchant'"),
        (
            transactions(80, 3),
            {"hidden": 32},
            r"layer encoder.first.weight is \d+ x \d+ x 64 in it and",
        ),
        (transactions(80, 3), {"preset": "fast"}, "views is std, arg in it and arg here"),
        (transactions(80, 3), {"model": "autoencoder"}, "model is 'vae' in it"),
    ],
    ids=["column", "categories", "width", "views", "model"],
)
def test_what_differs_is_named(first, rows, parameters, differs):
    detector = table(**{"preset": "default", **parameters})
    begin_with(detector, first, "cards/3")
    with pytest.raises(ModelRefusedError, match=f"weights of cards/3: .*{differs}"):
        detector.fit(rows)


def test_members_that_train_alone_begin_with_their_own_view():
    rows = transactions(80, 4)
    earlier = table(model="autoencoder", max_steps=4).fit(rows)
    detector = table(model="autoencoder", max_steps=2)
    begin_with(detector, earlier)
    assert detector.fit(rows).history_.records[-1]["step"] == 1


@pytest.mark.parametrize("parameters", [{"preset": "default"}, {"model": "conv"}], ids=str)
def test_images_begin_with_repair_networks_or_the_one_on_pixels(pixels, parameters):
    earlier = images(**parameters).fit(pixels)
    detector = images(**parameters)
    begin_with(detector, earlier)
    assert detector.fit(pixels).history_.records[-1]["step"] == 1
    other = images(**{**parameters, "channels": 3})
    begin_with(other, earlier, "tiles/2")
    with pytest.raises(ModelRefusedError, match="tiles/2: channels is 1 in it and 3 here"):
        other.fit(pixels)


def test_what_has_no_weights_is_refused_at_once(pixels, first):
    closed_form = images().fit(pixels)
    with pytest.raises(ModelRefusedError, match="no weights to begin with"):
        begin_with(images(), closed_form)
    with pytest.raises(ModelRefusedError, match="of kind tabular, and a training of kind image"):
        begin_with(images(), first, "cards/3")
