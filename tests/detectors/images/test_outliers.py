"""One or two bad frames among the good images own neither the threshold nor the fit."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from vae_anomaly import ImageVAEDetector, load_detector
from vae_anomaly.detectors.images.outliers import MAP_TAIL, map_surprises, squared_distances
from vae_anomaly.scoring.outliers import standing_out


def good_images(n, seed=0):
    """Return images (n, 64, 64) of a bright ring, each with its own noise and exposure."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    ring = np.abs(np.hypot(y - 32, x - 32) - 18) < 5
    exposure = rng.normal(1.0, 0.03, (n, 1, 1))
    image = exposure * (80 + 90 * ring) + rng.normal(0, 4, (n, 64, 64))
    return np.clip(image, 0, 255).astype(np.uint8)


def bad(image, kind):
    if kind == "black":
        return image * 0
    if kind == "over-exposed":
        return np.clip(image * 3.0, 0, 255).astype(np.uint8)
    return np.concatenate([image[:28], image[28:] * 0])  # half-read


def detector(**parameters):
    return ImageVAEDetector(64, preset="fast", random_state=0, **parameters)


def blotched(images):
    images = images.copy()
    images[:, 20:30, 30:40] = 20
    return images


@pytest.fixture(scope="module")
def clean():
    return detector().fit(good_images(60))


@pytest.mark.parametrize("kind", ["black", "over-exposed", "half-read"])
@pytest.mark.parametrize("n_bad", [1, 2])
def test_bad_frames_change_nothing_and_are_named(clean, kind, n_bad):
    images = good_images(60)
    frames = np.stack([bad(images[i], kind) for i in range(n_bad)])
    fitted = detector().fit(np.concatenate([images, frames]))
    assert [item.id for item in fitted.left_out_] == [str(60 + i) for i in range(n_bad)]
    assert fitted.metrics_["left_out"] == n_bad
    defects = blotched(good_images(20, seed=1))
    assert np.array_equal(fitted.anomaly_score(defects), clean.anomaly_score(defects))
    assert fitted.threshold_.value == clean.threshold_.value
    assert f"{n_bad} of {60 + n_bad} held-out items" in fitted.threshold_.note


def test_clean_images_are_all_kept(clean):
    assert clean.left_out_ == ()
    assert "left_out" not in clean.metrics_
    assert clean.metrics_["n_images"] == 60


@pytest.mark.parametrize("n", [10, 12, 16])
def test_of_a_few_good_images_none_is_left_out(n):
    for seed in range(8):
        assert detector().fit(good_images(n, seed)).left_out_ == ()


@pytest.mark.parametrize("n", [10, 12, 16, 24])
@pytest.mark.parametrize("law", ["normal", "exponential"])
def test_heat_of_good_images_seldom_stands_out_however_few_there_are(n, law):
    """Poolings of one map rise and fall together; each is judged among the others."""
    rng = np.random.default_rng(n)
    draw = getattr(rng, law)
    maps = [draw(size=(n, 1)) + 0.5 * draw(size=(n, 5)) for _ in range(80)]
    found = [standing_out(map_surprises(pooled), shape=MAP_TAIL).any() for pooled in maps]
    assert np.mean(found) <= 0.04


@pytest.mark.parametrize("kind", ["black", "over-exposed", "half-read"])
def test_one_bad_frame_among_twenty_is_named(kind):
    images = good_images(20)
    fitted = detector().fit(np.concatenate([images, bad(images[:1][0], kind)[None]]))
    assert [item.id for item in fitted.left_out_] == ["20"]


def test_a_warning_names_the_frame_what_is_wrong_with_it_and_the_remedy(caplog):
    images = good_images(40)
    with caplog.at_level(logging.WARNING):
        detector().fit(np.concatenate([images, images[:1] * 0]))
    (said,) = [r.getMessage() for r in caplog.records if "outliers" in r.getMessage()]
    assert "40: " in said
    assert "outliers='keep'" in said


def test_who_knows_better_keeps_them(clean):
    images = good_images(60)
    kept = detector(outliers="keep").fit(np.concatenate([images, images[:1] * 0]))
    assert kept.left_out_ == ()
    assert kept.metrics_["n_images"] == 61


def test_what_was_left_out_is_saved_with_the_model(tmp_path):
    images = good_images(40)
    fitted = detector().fit(np.concatenate([images, images[:1] * 0]))
    assert load_detector(fitted.save(tmp_path / "m")).left_out_ == fitted.left_out_


def test_a_strange_lot_is_no_outlier():
    images = good_images(60)
    lot = np.clip(images[:10] * 1.5, 0, 255).astype(np.uint8)
    groups = np.append(np.arange(60) // 6, np.full(10, 99))
    assert detector().fit(np.concatenate([images, lot]), groups=groups).left_out_ == ()


@pytest.mark.parametrize("n", [8, 9, 12])
def test_few_images_are_enough_to_be_fitted_with_a_black_one_among_them(n):
    images = good_images(n)
    images[3] = 0
    fitted = detector().fit(images)
    assert fitted.metrics_["n_images"] >= 8


def test_one_pixel_model_looks_at_images_that_are_not_held_out():
    images = good_images(48)
    frames = np.concatenate([images, images[:2] * 0])
    fitted = detector(model="conv", max_steps=5).fit(frames)
    assert [item.id for item in fitted.left_out_] == ["48", "49"]


def test_a_tiled_model_leaves_them_out_as_well():
    images = np.tile(good_images(30), (1, 2, 2))
    fitted = detector(tile_size=64).fit(np.concatenate([images, images[:1] * 0]))
    assert [item.id for item in fitted.left_out_] == ["30"]


def test_two_images_far_away_do_not_vouch_for_each_other():
    values = np.random.default_rng(0).normal(size=(60, 5))
    values[[3, 40]] = 30.0
    distances = squared_distances(values, np.arange(60) % 5)
    assert min(distances[[3, 40]]) > 10 * np.delete(distances, [3, 40]).max()


def test_a_black_frame_is_left_out_whatever_the_sum_of_its_parts_is():
    """Parts of very different exposure with hot maps: the black one's map is cool."""
    rng = np.random.default_rng(0)
    light = np.exp(rng.uniform(-0.7, 0.4, (60, 1, 1)))
    images = np.clip(light * good_images(60) * 0.8, 0, 255).astype(np.uint8)
    images[::7, 5:12, 5:12] = 255
    fitted = detector().fit(np.concatenate([images, images[:1] * 0]))
    assert "60" in [item.id for item in fitted.left_out_]


def plates(n, seed=0):
    """Return rough plates (n, 64, 64) in a light that varies fivefold; next to nothing is white."""
    rng = np.random.default_rng(seed)
    light = rng.uniform(40, 200, (n, 1, 1))
    image = light * (1.0 + 0.08 * rng.normal(size=(n, 64, 64)))
    image[:, 20:40, 8:30] *= 0.4
    return np.clip(image, 0, 255).astype(np.uint8)


def three_times_the_light(plate):
    """Return the frame of one whose light was such that a tenth of it is then white."""
    level = 255 / 3 / 1.1 / np.median(plate)
    return np.clip(np.clip(plate * level, 0, 255) * 3.0, 0, 255).astype(np.uint8)


def deep(images, white):
    return (images.astype(np.uint32) * white // 255).astype(np.uint16)


KINDS = {
    "12 bits": (lambda x: deep(x, 4095), {}),
    "16 bits, white told": (lambda x: deep(x, 4000), {"white": 4000}),
    "floats": (lambda x: x / 255.0, {}),
    "colour": (lambda x: np.stack([x, x, np.where(x < 255, x // 2, x)], axis=3), {"channels": 3}),
    "tiles": (lambda x: np.tile(x, (1, 1, 2)), {"tile_size": 64}),
    "pixels": (lambda x: x, {"model": "conv"}),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_plate_at_three_times_the_light_is_named_however_it_is_stored(kind):
    stored, parameters = KINDS[kind]
    images = plates(50)
    frames = stored(np.concatenate([images, three_times_the_light(images[3])[None]]))
    fitted = detector(max_steps=5, **parameters).fit(frames)
    assert [item.id for item in fitted.left_out_] == ["50"]
    assert "% of its pixels are white, at most 0." in fitted.left_out_[0].reason


def test_a_plate_at_three_times_the_light_changes_no_score():
    images, new = plates(60), plates(8, seed=1)
    clean = detector().fit(images)
    fitted = detector().fit([*images, three_times_the_light(images[3])])
    assert (len(clean.left_out_), len(fitted.left_out_)) == (0, 1)
    assert np.array_equal(fitted.anomaly_score(new), clean.anomaly_score(new))


def test_two_plates_at_three_times_the_light_are_left_out_of_a_hundred():
    images = plates(100)
    frames = [three_times_the_light(images[i]) for i in (3, 50)]
    fitted = detector(max_steps=5).fit([*images, *frames])
    assert [item.id for item in fitted.left_out_] == ["100", "101"]
    assert fitted.metrics_["left_out"] == fitted.metrics_["dropped_held_out"] == 2


def test_an_over_exposed_plate_stays_among_few_or_where_it_is_to_be_kept():
    images = plates(60)
    frame = three_times_the_light(images[3])
    few = detector(max_steps=5).fit([*images[:40], frame])
    kept = detector(max_steps=5, outliers="keep").fit([*images, frame])
    assert few.left_out_ == kept.left_out_ == ()


def test_no_plate_with_natural_highlights_is_left_out():
    rng = np.random.default_rng(5)
    images = plates(60)
    for image in images:
        image[: rng.integers(1, 33)] |= 255
    assert detector().fit(images).left_out_ == ()


def test_a_plate_that_is_the_only_one_of_its_condition_stays():
    images = plates(60)
    frames = np.concatenate([images, three_times_the_light(images[3])[None]])
    shown = ["grey"] * 60 + ["white"]
    fitted = detector(model="conditional", max_steps=5).fit(frames, conditions=shown)
    assert fitted.left_out_ == ()
