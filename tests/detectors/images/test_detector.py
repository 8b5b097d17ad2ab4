"""The image detector: it finds defects, says where, and says the same thing every time."""

from __future__ import annotations

import re
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from vae_anomaly.data.images.folders import list_images
from vae_anomaly.detectors import ImageVAEDetector, load_detector
from vae_anomaly.detectors.images.reasons import reasons_of
from vae_anomaly.errors import (
    ConfigError,
    DataError,
    ImageError,
    ModelRefusedError,
    NotEnoughDataError,
)
from vae_anomaly.persistence import read_model, write_model
from vae_anomaly.thresholds import Threshold

SIZE = 64


def surfaces(n: int, seed: int, *, colour: bool = False, size: int = 96) -> np.ndarray:
    """Render brushed plates with an edge, exposure and position jitter, uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    plates = []
    for _ in range(n):
        noise = ndimage.gaussian_filter(rng.normal(size=(size, size)), (0.5, 4.0))
        edge = 1.0 / (1.0 + np.exp(-(x - 0.15 - 0.02 * rng.normal()) * 60.0))
        plate = (0.25 + 0.35 * edge + 0.15 * noise + 0.05 * y) * rng.uniform(0.8, 1.2)
        if colour:
            plate = plate[..., None] * np.array([1.0, 0.8, 0.55]) * rng.uniform(0.95, 1.05, 3)
        plates.append(np.clip(plate * 255.0, 0, 255).astype(np.uint8))
    return np.stack(plates)


def with_holes(images: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return images with a dark hole each, and the holes' centres (N, 2) as y, x."""
    rng = np.random.default_rng(seed)
    broken, centres = images.copy(), rng.integers(30, 80, (len(images), 2))
    y, x = np.mgrid[: images.shape[1], : images.shape[2]]
    for image, (cy, cx) in zip(broken, centres, strict=True):
        image[np.hypot(y - cy, x - cx) < 6] //= 3
    return broken, centres


@pytest.fixture(scope="module")
def good() -> np.ndarray:
    return surfaces(40, 1)


@pytest.fixture(scope="module")
def fresh() -> np.ndarray:
    return surfaces(30, 2)


@pytest.fixture(scope="module")
def fast(good) -> ImageVAEDetector:
    return ImageVAEDetector(image_size=SIZE, preset="fast", random_state=0).fit(good)


@pytest.fixture(scope="module")
def full(good) -> ImageVAEDetector:
    return ImageVAEDetector(image_size=SIZE, max_steps=30, random_state=0).fit(good)


@pytest.fixture(params=["fast", "full"])
def detector(request) -> ImageVAEDetector:
    return request.getfixturevalue(request.param)


def test_defects_rank_above_good_images(detector, fresh):
    broken, _ = with_holes(fresh)
    normal, strange = detector.anomaly_score(fresh), detector.anomaly_score(broken)
    assert (normal[:, None] < strange[None, :]).mean() > 0.95


def test_heat_is_where_the_defect_is(detector, fresh):
    broken, centres = with_holes(fresh)
    heat = detector.heatmap(broken, size=broken.shape[1:3])
    assert heat.shape == broken.shape[:3]
    assert heat.dtype == np.float32
    places = np.stack(np.unravel_index(heat.reshape(len(heat), -1).argmax(1), heat.shape[1:]), 1)
    assert np.median(np.abs(places - centres).max(1)) < 10


def test_heat_of_good_images_is_in_sd_of_held_out_normals(detector, fresh):
    heat = detector.examine(fresh).heatmap
    assert abs(float(heat.mean())) < 0.3
    assert float(heat.std()) == pytest.approx(1.0, abs=0.3)


def test_p_values_of_unseen_normals_are_not_too_small():
    detector = ImageVAEDetector(image_size=SIZE, preset="fast", random_state=0)
    p = detector.fit(surfaces(60, 3)).p_value(surfaces(200, 4))
    assert p.min() >= 1.0 / 61.0
    for level in (0.1, 0.3):
        assert (p <= level).mean() <= level + 3.0 * np.sqrt(level * (1 - level) / 60)
    assert 0.3 < p.mean() < 0.75


def test_regions_are_boxes_in_the_images_own_pixels(detector, fresh):
    broken, centres = with_holes(fresh[:6])
    large = np.repeat(np.repeat(broken, 2, axis=1), 3, axis=2)
    found = detector.regions(large)
    hits = [
        any(r.top <= 2 * y <= r.bottom and r.left <= 3 * x <= r.right for r in regions)
        for regions, (y, x) in zip(found, centres, strict=True)
    ]
    assert sum(hits) >= 5
    table = detector.explain(large)
    assert table["peak"].max() == max(r.peak for regions in found for r in regions)


def test_masks_and_contours_are_the_heat_cut_at_the_level_in_the_images_own_pixels(fast, fresh):
    broken, centres = with_holes(fresh[:3])
    images = [np.repeat(broken[0], 2, axis=1), *broken[1:]]
    masks, outlines = fast.masks(images), fast.contours(images)
    assert [mask.shape for mask in masks] == [(96, 192), (96, 96), (96, 96)]
    for i in (1, 2):
        heat = fast.heatmap(broken[i : i + 1], size=(96, 96))[0]
        np.testing.assert_array_equal(masks[i], heat > fast.heat_level_)
        y, x = np.concatenate(outlines[i])[:, ::-1].T
        rows, columns = masks[i].nonzero()
        assert np.abs([y.min() - rows.min(), x.max() - columns.max()]).max() < 1.0
        assert masks[i][tuple(centres[i])]
    assert sum(mask.sum() for mask in fast.masks(broken, level=1e3)) == 0
    assert fast.contours(broken, level=1e3) == [[], [], []]


def test_reasons_speak_of_the_region_or_of_the_whole_image(fast, fresh):
    broken, _ = with_holes(fresh[:1])
    assert "differs at x" in fast.reasons(broken)[0][0]
    dark = (fresh[:1] * 0.3).astype(np.uint8)
    assert fast.reasons(dark)[0][0].startswith("darker: ")
    assert len(fast.reasons(np.concatenate([broken, dark]), top=1)) == 2


def test_reasons_are_read_from_an_examination(fast, fresh):
    broken, _ = with_holes(fresh)
    assert fast.reasons_of(fast.examine(broken), top=2) == fast.reasons(broken, top=2)


def test_images_are_scored_by_the_linear_level_and_by_what_the_heads_shout(fast, full, fresh):
    broken, _ = with_holes(fresh)
    one, two = fast.examine(broken), full.examine(broken)
    drawn = one.heatmap != one.score_map  # fine detail, and nothing else
    assert 0 < drawn.mean() < 0.05
    assert (one.heatmap[drawn] > fast.heat_level_).all()
    assert np.abs(two.score_map - two.heatmap).max() > 0.5
    assert two.evidence["shown_top_0.2pct"].max() > 2.3
    pools = [seen.evidence.filter(like="heat_top") for seen in (one, two)]
    np.testing.assert_allclose(pools[0], pools[1], rtol=1e-4)


def test_every_flagged_image_has_a_reason_though_its_heat_map_may_be_cool(full, fresh):
    broken, centres = with_holes(fresh)
    flagged = full.anomaly_score(broken) > full.threshold_.value
    assert flagged.any()
    cool = copy(full)
    cool.model_ = replace(full.model_, heat_level=np.inf)
    said = cool.reasons(broken[flagged])
    assert all(said)
    places = [re.match(r"a .*(?:spot|line).* near x (\d+), y (\d+);", r[0]) for r in said]
    assert sum(p is not None for p in places) > 0.5 * flagged.sum()
    fine = np.array([[int(n) for n in p.groups()] for p in places if p])
    truth = centres[flagged][[p is not None for p in places], ::-1]
    assert np.median(np.abs(fine - truth).max(1)) <= 12
    seen = replace(cool.examine(broken[flagged]), fine=None)  # a model that has not looked for it
    said = reasons_of(seen, cool.model_, cool.threshold_.value)
    places = [re.match(r"differs most at x (\d+)-(\d+), y (\d+)-(\d+), where", r[0]) for r in said]
    centre = np.array([[int(n) for n in p.groups()] for p in places if p]).reshape(-1, 2, 2).mean(2)
    truth = centres[flagged][[p is not None for p in places], ::-1]
    assert len(centre) > 0.5 * flagged.sum()
    assert np.median(np.abs(centre - truth).max(1)) <= 12


def test_a_model_saved_when_there_was_one_map_scores_by_the_one_it_shows(full, fresh, tmp_path):
    state = read_model(full.save(tmp_path / "model"))
    state.preprocessing["bank_revision"] = 2
    for name in ("repair_weight", "head_weight", "scored"):
        del state.preprocessing["network"][name]
    old = load_detector(write_model(state, tmp_path / "old"))
    seen = old.examine(fresh[:3])
    np.testing.assert_array_equal(seen.score_map, seen.heatmap)
    assert (old.network_.spec.repair_weight, old.network_.spec.head_weight) == (0.5, 0.25)


def test_evidence_is_finite_and_adds_up(detector, fresh):
    evidence = detector.evidence(fresh)
    assert np.isfinite(evidence.to_numpy()).all()
    np.testing.assert_allclose(
        evidence["negative_elbo"], evidence["reconstruction_nll"] + evidence["kl"]
    )
    np.testing.assert_allclose(
        evidence["raw_score"], evidence[["local", "whole_image"]].max(axis=1)
    )
    judged = evidence[["exposure", "appearance", "layout"]].max(axis=1)
    assert (evidence["whole_image"] <= judged).all()
    assert (evidence["kl"] > 0).all()


def test_score_does_not_depend_on_batch_order_or_neighbours(detector, fresh):
    whole = detector.examine(fresh[:11]).raw_score
    alone = np.concatenate([detector.examine(fresh[i : i + 1]).raw_score for i in range(11)])
    order = np.random.default_rng(0).permutation(11)
    mixed = detector.examine(fresh[:11][order]).raw_score
    np.testing.assert_allclose(alone, whole, rtol=0, atol=1e-4)
    np.testing.assert_allclose(mixed, whole[order], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(detector.examine(fresh[:11]).raw_score, whole)


def test_saved_and_loaded_detector_gives_the_same_scores(detector, fresh, tmp_path):
    broken, _ = with_holes(fresh[:8])
    again = load_detector(detector.save(tmp_path / "model"))
    np.testing.assert_allclose(
        again.anomaly_score(broken), detector.anomaly_score(broken), rtol=0, atol=1e-6
    )
    np.testing.assert_array_equal(again.predict(broken), detector.predict(broken))
    np.testing.assert_allclose(again.heatmap(broken), detector.heatmap(broken), atol=1e-5)
    assert again.get_params() == detector.get_params()
    assert again.heat_level_ == detector.heat_level_


def test_two_trainings_with_one_seed_are_the_same(good, fresh):
    first, second = (
        ImageVAEDetector(image_size=SIZE, max_steps=6, random_state=3).fit(good[:16])
        for _ in range(2)
    )
    np.testing.assert_array_equal(
        first.examine(fresh[:4]).raw_score, second.examine(fresh[:4]).raw_score
    )
    assert first.metrics_ == second.metrics_


def test_the_vae_is_one(full):
    records = full.history_.records
    assert records[-1]["beta"] == 1.0
    assert all(record["train_kl"] > 0 for record in records)
    assert len(full.network_.members) == 2


def test_colour_is_decided_by_the_training_images_and_a_tint_is_caught():
    good, fresh = surfaces(40, 5, colour=True), surfaces(12, 6, colour=True)
    detector = ImageVAEDetector(image_size=SIZE, preset="fast", random_state=0).fit(good)
    assert detector.channels_ == 3
    tinted = fresh.astype(float)
    tinted[:, 30:60, 30:60] += np.array([30.0, -30.0 * 0.299 / 0.587, 0.0])
    tinted = np.clip(tinted, 0, 255).astype(np.uint8)
    assert detector.anomaly_score(tinted).min() > detector.anomaly_score(fresh).max()
    grey_as_rgb = np.repeat(surfaces(10, 1)[..., None], 3, axis=3)
    grey = ImageVAEDetector(image_size=SIZE, preset="fast", random_state=0).fit(grey_as_rgb)
    assert grey.channels_ == 1
    assert np.isfinite(detector.anomaly_score(surfaces(2, 1))).all()


def test_too_dark_and_too_bright_are_caught(fast, fresh):
    usual = fast.anomaly_score(fresh)
    for gain in (0.4, 1.8):
        changed = np.clip(fresh * gain, 0, 255).astype(np.uint8)
        assert np.median(fast.anomaly_score(changed)) > usual.max()


def test_sixteen_bit_images_score_as_their_eight_bit_copies(fast, fresh):
    deep = fresh[:5].astype(np.uint16) * 257
    np.testing.assert_allclose(
        fast.anomaly_score(deep), fast.anomaly_score(fresh[:5]), rtol=0, atol=1e-4
    )


def test_files_score_as_their_arrays_and_images_of_any_size_are_taken(fast, fresh, tmp_path):
    for i, image in enumerate(fresh[:3]):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    np.testing.assert_allclose(
        fast.anomaly_score(tmp_path), fast.anomaly_score(fresh[:3]), rtol=0, atol=1e-6
    )
    mixed = [fresh[0], np.repeat(fresh[1], 2, axis=1), tmp_path / "2.png"]
    assert fast.anomaly_score(mixed[:2]).shape == (2,)
    assert fast.anomaly_score(mixed[2]).shape == (1,)
    assert fast.anomaly_score(list_images(tmp_path)).shape == (3,)


def test_a_folder_with_defects_trains_on_its_good_images_only(good, tmp_path):
    for kind, images in {"good": good[:10], "hole": with_holes(good[10:12])[0]}.items():
        (tmp_path / "train" / kind).mkdir(parents=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / "train" / kind / f"{i}.png")
    detector = ImageVAEDetector(image_size=SIZE, preset="fast", random_state=0).fit(tmp_path)
    assert detector.fingerprint_["images"] == 10


def test_groups_widen_the_calibration_of_repeated_parts():
    parts = surfaces(12, 7)
    rng = np.random.default_rng(0)
    shots = np.concatenate(
        [parts + rng.integers(0, 6, parts.shape, dtype=np.uint8) for _ in "abcd"]
    )
    names = np.tile([f"part-{i}" for i in range(12)], 4)
    new = surfaces(60, 8) + rng.integers(0, 6, (60, 96, 96), dtype=np.uint8)
    make = ImageVAEDetector(image_size=SIZE, preset="fast", random_state=0, latent_dim=8)
    leaky = (make.fit(shots).p_value(new) <= 0.1).mean()
    honest = (make.fit(shots, groups=names).p_value(new) <= 0.1).mean()
    assert honest < leaky


def test_plain_convolutional_vae_can_be_selected(good, fresh, tmp_path):
    detector = ImageVAEDetector(model="conv", max_steps=12, random_state=0).fit(good)
    broken, _ = with_holes(fresh)
    assert np.median(detector.anomaly_score(broken)) > np.median(detector.anomaly_score(fresh))
    again = load_detector(detector.save(tmp_path / "conv"))
    np.testing.assert_allclose(again.anomaly_score(broken), detector.anomaly_score(broken))
    assert detector.reconstruct(fresh[:2]).shape == (2, 64, 64)


def test_reconstruction_is_a_preview_without_the_defect(fast, fresh):
    broken, _ = with_holes(fresh[:4])
    preview = fast.reconstruct(broken)
    assert preview.shape == (4, SIZE // 4, SIZE // 4)
    assert preview.min() >= 0.0
    assert preview.max() <= 1.0


def test_progress_is_told_in_order(good):
    told: list[tuple[str, int, int]] = []
    detector = ImageVAEDetector(image_size=SIZE, max_steps=4, random_state=0)
    detector.fit(good[:10], progress=lambda *news: told.append(news))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages == ["features", "linear", "train"]
    last = {stage: (done, total) for stage, done, total in told}
    assert all(done == total for done, total in last.values())


def test_too_few_images_are_refused_with_the_remedy(good):
    with pytest.raises(NotEnoughDataError, match="at least 8 images"):
        ImageVAEDetector(image_size=SIZE).fit(good[:7])


def test_one_group_is_refused(good):
    with pytest.raises(NotEnoughDataError, match="finer groups"):
        ImageVAEDetector(image_size=SIZE, preset="fast").fit(good, groups=["a"] * len(good))


def test_groups_of_another_length_are_refused(good):
    with pytest.raises(DataError, match="one group for each"):
        ImageVAEDetector(image_size=SIZE, preset="fast").fit(good, groups=["a", "b"])


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match="no images"):
        ImageVAEDetector(image_size=SIZE).fit(tmp_path)


def test_bad_files_in_training_are_all_named(good, tmp_path):
    for i, image in enumerate(good[:10]):
        Image.fromarray(image).save(tmp_path / f"{i}.jpg")
    whole = (tmp_path / "0.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("this is text")
    with pytest.raises(ImageError) as caught:
        ImageVAEDetector(image_size=SIZE, preset="fast").fit(tmp_path)
    assert "cut.jpg" in str(caught.value)
    assert "text.png" in str(caught.value)
    assert "2 of 12" in str(caught.value)


@pytest.mark.parametrize(
    "images",
    [np.zeros((96, 96), np.uint8), np.zeros((96, 96, 3), np.uint8), np.zeros((0, 9, 9), np.uint8)],
    ids=["one grey image", "one colour image", "none"],
)
def test_arrays_of_another_shape_are_refused(fast, images):
    with pytest.raises(DataError):
        fast.anomaly_score(images)


def test_numbers_that_are_no_pixels_are_refused(fast):
    with pytest.raises(DataError, match="uint8"):
        fast.anomaly_score(np.full((1, 80, 80), np.nan))


@pytest.mark.parametrize(
    "parameters",
    [
        {"preset": "best"},
        {"model": "gan"},
        {"channels": 2},
        {"image_size": 100},
        {"max_steps": 0},
        {"pose": "upright"},
        {"pose": "any", "model": "conv"},
    ],
    ids=str,
)
def test_parameters_without_meaning_are_refused(good, parameters):
    with pytest.raises(ConfigError):
        ImageVAEDetector(**parameters).fit(good)


def test_a_model_with_another_resizer_or_without_a_weight_is_refused(fast, tmp_path):
    state = read_model(fast.save(tmp_path / "model"))
    state.preprocessing["resizer"] = "opencv/4"
    with pytest.raises(ModelRefusedError, match="resizer"):
        load_detector(write_model(state, tmp_path / "other"))
    state = read_model(tmp_path / "model")
    state.weights.pop("linear.vae.basis")
    with pytest.raises(ModelRefusedError, match="Train it again"):
        load_detector(write_model(state, tmp_path / "less"))


def test_a_model_of_an_earlier_bank_is_refused_and_told_to_be_trained_again(fast, tmp_path):
    state = read_model(fast.save(tmp_path / "model"))
    state.preprocessing.pop("bank_revision")  # as models were saved before it was written down
    with pytest.raises(ModelRefusedError, match=r"revision 1 of the bank.*Train it again"):
        load_detector(write_model(state, tmp_path / "old"))


def test_a_seed_is_drawn_where_none_is_given_and_global_state_is_left_alone(good):
    before = torch.get_rng_state()
    detector = ImageVAEDetector(image_size=SIZE, preset="fast").fit(good[:10])
    assert isinstance(detector.random_state_, int)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("preset", ["fast", "default"])
def test_the_quick_way_to_a_score_gives_the_score_of_the_whole_examination(preset):
    rng = np.random.default_rng(0)
    images = rng.integers(90, 110, (24, 64, 64), dtype=np.uint8)
    detector = ImageVAEDetector(image_size=64, preset=preset, max_steps=5, random_state=0)
    detector.fit(images)
    broken = images[:9].copy()
    broken[:4, 20:40, 20:40] = 0
    np.testing.assert_array_equal(
        detector.anomaly_score(broken), detector.examine(broken).anomaly_score
    )


def test_images_of_one_part_count_once_in_the_threshold_also_after_reload(tmp_path):
    rng = np.random.default_rng(0)
    parts = np.repeat(np.arange(60), 2)
    images = rng.integers(90, 110, (120, 64, 64), dtype=np.uint8)
    settings = {"image_size": 64, "preset": "fast", "random_state": 0, "target_fpr": 0.05}
    detector = ImageVAEDetector(**settings).fit(images, groups=parts)
    assert len(np.unique(detector.calibration_groups_)) == 60
    scores = detector.calibration_.reference_scores()
    by_parts = Threshold.from_fpr(scores, 0.05, groups=detector.calibration_groups_)
    assert detector.threshold_.value == by_parts.value
    alone = ImageVAEDetector(**settings).fit(images[:24])
    assert alone.calibration_groups_ is None
    detector.save(tmp_path / "model")
    again = load_detector(tmp_path / "model")
    np.testing.assert_array_equal(again.calibration_groups_, detector.calibration_groups_)
