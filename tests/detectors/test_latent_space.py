"""Latent spaces of fitted detectors, and the mark that keeps generated rows out of everything."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tracking.real_models import image_model, surface, table_model, transactions  # noqa: F401  # fixtures

from vae_anomaly import ImageVAEDetector, TabularVAEDetector, load_detector
from vae_anomaly.errors import ConfigError, NotEnoughDataError
from vae_anomaly.evaluation import score_items
from vae_anomaly.evaluation.items import read_scores
from vae_anomaly.persistence import read_model, write_model

QUICK = {"preset": "fast", "max_steps": 20, "hidden": 8, "random_state": 0}


def images(n: int, first: int = 0) -> np.ndarray:
    """Grey images with a bright bar whose place is the only thing that differs, and noise."""
    plates = np.stack([np.asarray(surface(first + i)) for i in range(n)]).copy()
    for i, plate in enumerate(plates):
        left = 8 + 5 * ((first + i) % 8)
        plate[:, left : left + 8] = 220
    return plates


@pytest.fixture(scope="module")
def rows_detector(table_model) -> TabularVAEDetector:
    return load_detector(table_model)


@pytest.fixture(scope="module")
def bank() -> ImageVAEDetector:
    return ImageVAEDetector(64, preset="fast", latent_dim=4, random_state=0).fit(images(32))


@pytest.fixture(scope="module")
def conv() -> ImageVAEDetector:
    settings = {"model": "conv", "latent_dim": 5, "max_steps": 20, "random_state": 0}
    return ImageVAEDetector(64, **settings).fit(images(24))


@pytest.fixture(params=["conv", "bank"])
def image_detector(request) -> ImageVAEDetector:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_the_way_between_two_rows_ends_at_their_reconstructions(rows_detector, mode):
    rows = transactions(9, seed=1)
    way = rows_detector.interpolate(rows.iloc[[2]], rows.iloc[[7]], steps=4, mode=mode)
    ends = rows_detector.reconstruct(rows.iloc[[2, 7]]).reset_index(drop=True)
    assert len(way) == 4
    pd.testing.assert_frame_equal(way.iloc[[0, 3]].reset_index(drop=True), ends, rtol=1e-4)


def test_a_row_can_be_a_series_a_mapping_or_an_array(rows_detector):
    rows = transactions(9, seed=1)
    way = rows_detector.interpolate(rows.iloc[2], rows.iloc[7].to_dict(), steps=2)
    same = rows_detector.interpolate(rows.iloc[[2]], rows.iloc[[7]], steps=2)
    pd.testing.assert_frame_equal(way, same, rtol=1e-4)


def test_the_way_between_two_images_ends_at_their_reconstructions(conv):
    a, b = images(2, first=50)
    way = conv.interpolate(a, b[None], steps=3)
    assert way.shape == (3, 64, 64)
    np.testing.assert_allclose(way[[0, 2]], conv.reconstruct(np.stack([a, b])), atol=1e-5)


def test_the_way_of_the_bank_ends_at_the_decoded_latents_of_the_two_images(bank):
    a, b = images(2, first=50)
    ends = bank.decode(bank.transform(np.stack([a, b])))
    np.testing.assert_allclose(bank.interpolate(a, b, 5)[[0, 4]], ends, atol=1e-5)
    like = [np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in
            zip(ends, bank.reconstruct(np.stack([a, b])), strict=True)]  # fmt: skip
    assert min(like) > 0.8  # another light, the same part


def test_latents_of_images_do_not_depend_on_the_batch(image_detector):
    plates = images(11, first=70)
    together = image_detector.transform(plates)
    assert together.dtype == np.float32
    alone = np.concatenate([image_detector.transform(plate[None]) for plate in plates])
    np.testing.assert_allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("sampler", ["prior", "normal", "gmm"])
def test_the_same_seed_gives_the_same_items_and_another_seed_others(
    rows_detector, conv, bank, sampler
):
    for detector in (rows_detector, conv, bank):
        first, again, other = (
            np.asarray(detector.sample(5, sampler=sampler, random_state=seed).astype(object))
            for seed in (3, 3, 4)
        )
        assert len(first) == 5
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


def test_generated_images_are_images(image_detector):
    made = image_detector.sample(3, random_state=0)
    assert made.ndim == 3
    assert 0 <= made.min() < made.max() <= 1


def test_a_fitted_sampler_stays_near_the_training_latents_where_the_prior_does_not():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 3)) * 0.1 + np.array([5.0, 5.0, 5.0]) * rng.choice(
        [0, 1], (200, 1)
    )
    detector = TabularVAEDetector(**QUICK).fit(rows)
    means = detector.transform(rows)
    reference = detector._latent_reference()
    np.testing.assert_allclose(np.sort(reference, axis=0), np.sort(means, axis=0), atol=1e-4)


def test_a_traversal_of_the_linear_model_changes_one_latent_and_leaves_the_others(bank):
    level = bank.network_.linear
    grid = bank.traverse(dims=[1, 3], values=[-1.0, 0.0, 2.0])
    assert grid.shape == (2, 3, 16, 16)
    start = bank.latents_.mean(axis=0)
    at_centre = bank.traverse(dims=[1], values=[start[1]])[0, 0]
    np.testing.assert_allclose(at_centre, bank.decode(start)[0], atol=1e-6)
    import torch

    moved = torch.from_numpy(np.stack([start, start]))
    moved[1, 3] += 1.5
    shrunk = level.vae.encode(level.vae.decode(moved))[0]  # the linear encoder undoes the decoder
    change = (shrunk[1] - shrunk[0]).numpy()
    assert change[3] > 1.0
    np.testing.assert_allclose(np.delete(change, 3), 0, atol=1e-4)


def test_a_traversal_of_rows_names_latent_and_value(rows_detector):
    row = transactions(3, seed=1).iloc[[0]]
    grid = rows_detector.traverse(row, dims=[4, 0], values=[-2, 0, 2])
    assert grid.index.names == ["latent", "value"]
    assert grid.index.tolist()[:4] == [(4, -2), (4, 0), (4, 2), (0, -2)]
    z = rows_detector.transform(row)[0]
    z[4] = 2.0
    pd.testing.assert_frame_equal(
        grid.loc[[(4, 2.0)]].reset_index(drop=True), rows_detector.decode(z), rtol=1e-4
    )


def test_the_latents_that_vary_most_come_first(rows_detector, bank):
    for detector in (rows_detector, bank):
        spread = detector._latent_reference().std(axis=0)
        leading = detector.leading_latents(3)
        assert leading == np.argsort(-spread)[:3].tolist()
        assert detector.traverse(values=[0.0]).shape[0] == min(8, len(spread))


def test_a_direction_gives_an_item_the_attribute(conv):
    plates = images(16, first=80)
    left, right = plates[(np.arange(16) % 8) < 3], plates[(np.arange(16) % 8) > 4]
    direction = conv.attribute_direction(right, left)
    moved = conv.transform(left).mean(0) + direction
    np.testing.assert_allclose(moved, conv.transform(right).mean(0), atol=1e-5)


def test_images_keep_their_latents_when_saved_and_older_models_say_what_is_possible(bank, tmp_path):
    state = read_model(bank.save(tmp_path / "new"))
    same = load_detector(tmp_path / "new").sample(4, sampler="gmm", random_state=1)
    np.testing.assert_array_equal(same, bank.sample(4, sampler="gmm", random_state=1))
    kept = {name: array for name, array in state.calibration.items() if name != "latents"}
    old = load_detector(write_model(replace(state, calibration=kept), tmp_path / "old"))
    assert old.sample(2, random_state=0).shape == (2, 16, 16)
    assert old.traverse().shape == (4, 7, 16, 16)
    with pytest.raises(ConfigError, match=r"'normal'.*'prior'"):
        old.sample(2, sampler="normal")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.sample(0), "n=0"),
        (lambda d: d.sample(3, sampler="flow"), "prior, normal, gmm"),
        (lambda d: d.interpolate(*[transactions(2, seed=0)] * 2), "One item is wanted here; got 2"),
        (lambda d: d.decode([[1.0, 2.0]]), r"9 latents.*\(1, 2\)"),
        (lambda d: d.decode(np.full(9, np.nan)), "finite"),
        (lambda d: d.traverse(dims=[99]), r"latents 0 to 8; got \[99\]"),
        (lambda d: d.augment(transactions(5, seed=0), 0), "n=0"),
        (lambda d: d.augment(transactions(5, seed=0), 3, sampler="prior"), "normal or gmm"),
    ],
    ids=["n", "sampler", "two", "shape", "nan", "latent", "augment-n", "augment-sampler"],
)
def test_impossible_requests_say_what_is_possible(rows_detector, call, message):
    with pytest.raises(ConfigError, match=message):
        call(rows_detector)


# ------------------------------------------------------------------ generated rows


def test_augmented_rows_come_after_the_real_ones_and_are_marked(rows_detector):
    rare = transactions(40, seed=2).assign(is_fraud=1)
    more = rows_detector.augment(rare, 15, random_state=0)
    pd.testing.assert_frame_equal(more.iloc[:40][list(rare)], rare)
    assert more["synthetic"].tolist() == [False] * 40 + [True] * 15
    assert more.dtypes[["amount", "online", "when"]].equals(
        rare.dtypes[["amount", "online", "when"]]
    )
    made = more[more["synthetic"]]
    assert made["id"].isna().all()  # no row's name
    assert (made["is_fraud"] == 1).all()  # the label of all the rows
    assert set(made["merchant"]) <= {"grocery", "fuel", "books"}
    pd.testing.assert_frame_equal(more, rows_detector.augment(rare, 15, random_state=0))
    assert rows_detector.augment(more, 5, random_state=0)["synthetic"].sum() == 20


def test_one_row_is_too_few_to_make_more_of(rows_detector):
    with pytest.raises(NotEnoughDataError, match="At least 2"):
        rows_detector.augment(transactions(1, seed=0), 3)


def test_generated_rows_neither_train_nor_calibrate(rows_detector, caplog):
    real = transactions(40, seed=2)
    mixed = rows_detector.augment(real, 20, random_state=0)
    groups = np.arange(60) % 20
    with caplog.at_level(logging.WARNING):
        trained = TabularVAEDetector(**QUICK).fit(mixed, groups=groups)
    assert "20 of 60 rows are marked as generated" in caplog.text
    plain = TabularVAEDetector(**QUICK).fit(real, groups=groups[:40])
    assert "synthetic" not in trained.schema_.names
    assert trained.calibration_.n == plain.calibration_.n == 40
    probe = transactions(10, seed=5)
    np.testing.assert_array_equal(trained.anomaly_score(probe), plain.anomaly_score(probe))


def test_a_declared_column_of_that_name_is_data():
    rng = np.random.default_rng(0)
    oil = pd.DataFrame({"grade": rng.normal(size=60), "synthetic": rng.random(60) < 0.5})
    detector = TabularVAEDetector(**QUICK, column_kinds={"synthetic": "boolean"}).fit(oil)
    assert detector.calibration_.n == 60
    assert len(score_items(detector, oil)) == 60
    with pytest.raises(ConfigError, match="Rename that column"):
        detector.augment(oil, 3)


def test_generated_rows_are_left_out_of_evaluation_and_counted(rows_detector):
    mixed = rows_detector.augment(transactions(30, seed=2).assign(is_fraud=0), 12, random_state=0)
    items = score_items(rows_detector, mixed, labels="is_fraud")
    assert (len(items), items.left_out) == (30, {"synthetic": 12})


def test_scores_of_generated_rows_are_left_out_of_thresholds(tmp_path):
    table = pd.DataFrame({"score": [1.0, 2.0, 3.0], "synthetic": [False, True, False]})
    table.to_csv(tmp_path / "scores.csv", index=False)
    items, _ = read_scores(tmp_path / "scores.csv")
    assert (items.scores.tolist(), items.left_out) == ([1.0, 3.0], {"synthetic": 1})
