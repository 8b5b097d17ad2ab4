"""Training normals as what had not seen them judged them."""

from __future__ import annotations

import numpy as np

from vae_anomaly import ImageVAEDetector, TabularVAEDetector
from vae_anomaly.detectors.held_out import HeldOut
from vae_anomaly.detectors.images.held_out import examine_strangest


def test_the_strangest_come_first_and_a_place_only_once():
    held = HeldOut(np.array([5, 2, 5, 7]), np.array([1.0, 3.0, 4.0, 2.0]), None)
    assert held.strangest(2).tolist() == [2, 1]
    assert held.places[held.strangest()].tolist() == [5, 2, 7]


def test_rows_keep_their_place_in_the_table_and_the_model_that_has_not_seen_them(rng):
    rows = rng.normal(size=(120, 3))
    rows[77] = [9.0, -9.0, 9.0]
    detector = TabularVAEDetector(max_steps=30, outliers="keep", random_state=0).fit(rows)
    held = detector.held_out_
    assert sorted(held.places) == list(range(120))
    assert held.places[held.strangest(1)].tolist() == [77]
    np.testing.assert_array_equal(np.sort(held.raw_score), detector.calibration_.reference)
    places, seen = next(pair for pair in held.seen if 77 in pair[0])
    own = seen.raw_score[places.tolist().index(77)]
    assert own == held.raw_score[held.places.tolist().index(77)]


def test_images_keep_their_held_out_maps_and_scores(rng):
    good = rng.integers(90, 110, (16, 64, 64), dtype=np.uint8)
    good[3, 20:36, 20:36] = 30
    detector = ImageVAEDetector(64, preset="fast", outliers="keep", random_state=0).fit(good)
    held = detector.held_out_
    assert held.places[held.strangest(1)].tolist() == [3]
    seen = examine_strangest(held, detector.opened(good), detector.model_, detector.calibration_)
    np.testing.assert_array_equal(np.sort(seen.raw_score), detector.calibration_.reference)
    peak = np.unravel_index(seen.heatmap[0].argmax(), seen.heatmap[0].shape)
    assert all(20 <= 64 * place / len(seen.heatmap[0]) < 36 for place in peak)


def test_a_loaded_model_has_none(rng, tmp_path):
    from vae_anomaly import load_detector

    saved = TabularVAEDetector(max_steps=20, random_state=0).fit(rng.normal(size=(60, 2)))
    assert load_detector(saved.save(tmp_path / "model")).held_out_ is None
