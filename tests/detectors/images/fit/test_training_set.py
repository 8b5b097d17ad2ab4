"""Parts that move, and backgrounds that do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats

from vae_anomaly.detectors import ImageVAEDetector, load_detector
from vae_anomaly.detectors.images.place.placing import find_foreground
from vae_anomaly.detectors.images.place.registration import shift_image
from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.metrics import auroc

SIZE, SIDE = 96, 120  # of the model, of the images
WRONG = 58  # y of a hole that belongs at 40
DUST = (12, 100)


def parts(
    n: int, seed: int, *, most: int = 9, drilled_wrong: bool = False
) -> tuple[np.ndarray, ...]:
    """Return images (n, 120, 120), uint8, of a part that moves by up to 8 %, and its shifts."""
    rng = np.random.default_rng(seed)
    shifts = rng.integers(-most, most + 1, (n, 2))
    images = []
    for shift in shifts:
        part = np.full((SIDE, SIDE), 0.75)
        part[28:92, 36:52] = part[76:92, 36:88] = 0.3
        first = (WRONG, 44) if drilled_wrong else (40, 44)
        for y, x in (first, (84, 60), (84, 76)):  # holes of the part, as bright as the ground
            r = int(rng.integers(2, 5))
            part[y - r : y + r, x - r : x + r] = 0.75
        part += 0.03 * ndimage.gaussian_filter(rng.normal(size=part.shape), 0.7)
        moved = shift_image(part, tuple(-shift)) * rng.uniform(0.97, 1.03)
        images.append(np.clip(moved * 255, 0, 255).astype(np.uint8))
    return np.stack(images), shifts


def dusty(images: np.ndarray) -> np.ndarray:
    found = images.copy()
    y, x = DUST
    found[:, y - 4 : y + 4, x - 4 : x + 4] = 40
    return found


def detector(images: np.ndarray, **choices: str) -> ImageVAEDetector:
    return ImageVAEDetector(SIZE, preset="fast", random_state=0, **choices).fit(images)


@pytest.fixture(scope="module")
def good() -> np.ndarray:
    return parts(80, 1)[0]


@pytest.fixture(scope="module")
def registered(good) -> ImageVAEDetector:
    return detector(good, register="auto")


def found_share(model: ImageVAEDetector) -> tuple[float, float]:
    """Return AUROC of parts with a hole in the wrong place, and the share that is flagged."""
    normal = model.anomaly_score(parts(40, 2)[0])
    broken = model.anomaly_score(parts(40, 3, drilled_wrong=True)[0])
    area = auroc(np.repeat([0, 1], 40), np.concatenate([normal, broken]))
    return area, float((broken > model.threshold_.value).mean())


def test_a_defect_on_a_part_that_moves_is_found_with_registration_and_missed_without(
    good, registered
):
    assert registered.metrics_["registered"] == 1.0
    area, flagged = found_share(registered)
    before, flagged_before = found_share(detector(good))
    assert area > 0.99
    assert flagged > 0.9
    assert before < area
    assert flagged_before < 0.4


def test_maps_and_regions_are_those_of_the_image_as_it_came(registered):
    images, shifts = parts(10, 4, drilled_wrong=True)
    heat = registered.heatmap(images, size=(SIDE, SIDE))
    for one, (down, right), regions in zip(heat, shifts, registered.regions(images), strict=True):
        y, x = np.unravel_index(one.argmax(), one.shape)
        assert min(abs(y - 40 - down), abs(y - WRONG - down)) < 12
        assert abs(x - 44 - right) < 12
        assert any(r.top <= WRONG + down <= r.bottom for r in regions)
        assert any(r.left <= 44 + right <= r.right for r in regions)


def test_registered_scores_do_not_depend_on_the_batch_and_survive_saving(registered, tmp_path):
    images, _ = parts(5, 5, drilled_wrong=True)
    together = registered.examine(images)
    for i in range(5):
        alone = registered.examine(images[i : i + 1])
        np.testing.assert_allclose(alone.raw_score, together.raw_score[i : i + 1], atol=1e-4)
        np.testing.assert_allclose(alone.heatmap[0], together.heatmap[i], atol=1e-4)
    registered.save(tmp_path / "model")
    loaded = load_detector(tmp_path / "model")
    np.testing.assert_array_equal(loaded.anomaly_score(images), together.anomaly_score)
    np.testing.assert_array_equal(loaded.examine(images).heatmap, together.heatmap)


def test_p_values_of_new_good_parts_that_move_are_uniform_or_a_little_larger():
    model = detector(parts(200, 1)[0], register="shift")
    p = model.p_value(parts(200, 2)[0])
    assert stats.kstest(p, "uniform").statistic < 0.25
    assert 0.01 <= (p <= 0.1).mean() <= 0.17


def test_parts_that_lie_still_keep_their_scores_with_auto():
    good, fresh = parts(30, 7, most=0)[0], parts(5, 8, most=0)[0]
    plain, auto = detector(good), detector(good, register="auto")
    assert auto.metrics_["registered"] == 0.0
    np.testing.assert_array_equal(plain.anomaly_score(fresh), auto.anomaly_score(fresh))


def test_dust_on_the_background_is_no_alarm_with_foreground_and_a_defect_still_is():
    good, fresh = parts(80, 9, most=2)[0], parts(30, 10, most=2)[0]
    plain, auto = detector(good), detector(good, foreground="auto")
    assert auto.metrics_["foreground_share"] < 0.8
    dust = dusty(fresh)
    assert (plain.predict(dust) == -1).mean() > 0.9
    assert (auto.predict(dust) == -1).mean() < 0.15
    assert (auto.predict(parts(30, 11, most=2, drilled_wrong=True)[0]) == -1).mean() > 0.8
    assert auto.heatmap(dust, size=(SIDE, SIDE))[:, DUST[0], DUST[1]].max() == 0.0


def test_a_missing_piece_of_the_part_is_still_seen_with_foreground():
    model = detector(parts(60, 9, most=2)[0], foreground="auto")
    broken = parts(10, 12, most=2)[0]
    broken[:, 70:100, 70:95] = broken[:, :5, :5].mean(axis=(1, 2))[:, None, None].astype(np.uint8)
    assert (model.predict(broken) == -1).all()


def test_both_together_survive_saving(good, tmp_path):
    model = detector(good, register="shift", foreground="auto")
    model.save(tmp_path / "model")
    loaded = load_detector(tmp_path / "model")
    np.testing.assert_array_equal(loaded.foreground_.mask, model.foreground_.mask)
    fresh = dusty(parts(5, 13)[0])
    np.testing.assert_array_equal(loaded.anomaly_score(fresh), model.anomaly_score(fresh))


@pytest.mark.parametrize("model", ["conv", "autoencoder"])
def test_members_on_pixels_take_both_options(good, model):
    found = ImageVAEDetector(
        SIZE, model=model, preset="fast", max_steps=3, random_state=0,
        register="shift", foreground="auto",
    ).fit(good[:40])  # fmt: skip
    assert found.registration_.reference.shape == (64, 64)
    assert found.examine(good[:3]).heatmap.shape[0] == 3


def test_a_textured_background_is_not_ignored(caplog):
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(rng.normal(size=(20, SIDE, SIDE)), (0, 1, 1))
    images = np.clip(128 + 60 * noise, 0, 255).astype(np.uint8)
    model = detector(images, foreground="auto")
    assert model.foreground_ is None
    assert "not clearly uniform" in caplog.text


def test_the_foreground_is_the_part_and_a_rim_around_it():
    images = np.full((20, 96, 96, 1), 0.9, np.float32)
    images[:, 32:64, 40:56] = 0.3
    found = find_foreground(images)
    rows, columns = np.nonzero(found.mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (26, 69, 34, 61)
    images[0, 10, 10] = images[0, 40, 45] = 0.0  # dust, and a spot on the part
    painted = found(images[0])
    assert painted[10, 10, 0] == pytest.approx(0.9)
    assert painted[40, 45, 0] == 0.0


@pytest.mark.parametrize("name", ["register", "foreground"])
def test_what_the_options_do_not_know_is_refused(good, name):
    with pytest.raises(ConfigError, match=f"'{name}' parameter"):
        detector(good, **{name: "always"})


@pytest.mark.parametrize("model", ["bank", "conv"])
@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.arange(96 * 96, dtype=np.uint8).reshape(96, 96), "the same, pixel for pixel"),
        (np.full((96, 96, 3), 7, np.uint8), "are blank: each pixel is 7"),
    ],
    ids=["copies", "blank"],
)
def test_images_that_are_all_alike_are_refused_with_the_remedy(model, pixels, words):
    with pytest.raises(DataError, match=f"All 30 images .*{words}"):
        ImageVAEDetector(model=model, preset="fast").fit(np.stack([pixels] * 30))
