"""What a run keeps of images can be looked at without the model, and shows where they are wrong."""

from __future__ import annotations

import io
import json
from base64 import b64decode

import numpy as np
import pytest
from batch.launcher import KILLED
from PIL import Image
from tracking.real_models import surface, write_surfaces

from vae_anomaly import ImageVAEDetector, load_detector
from vae_anomaly.batch import read_manifest, read_review, score_images
from vae_anomaly.batch.plan import plan_images
from vae_anomaly.reports.facts.items import MAP_SIDE, THUMBNAIL_SIDE


@pytest.fixture(scope="module")
def pixel_model(tmp_path_factory):
    images = [np.asarray(surface(seed)) for seed in range(16)]
    detector = ImageVAEDetector(image_size=64, model="conv", max_steps=3, random_state=0)
    return detector.fit(images).save(tmp_path_factory.mktemp("pixels") / "model")


def kept(out):
    manifest = read_manifest(out)
    return [item for entry in manifest["partitions"] for item in read_review(out, entry)]


def opened(text: str) -> Image.Image:
    image = Image.open(io.BytesIO(b64decode(text, validate=True)))
    image.load()
    return image


def test_an_image_with_a_defect_is_kept_with_its_region_at_the_defect(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night" / "cam 1", 12)
    spotted = np.asarray(surface(5)).copy()
    spotted[46:54, 10:18] = 20
    Image.fromarray(spotted).save(night / "007.png")
    score_images(image_model, tmp_path / "night", tmp_path / "out")
    items = kept(tmp_path / "out")
    item, detector = items[0], load_detector(image_model)
    assert [one.id for one in items if one.is_anomaly] == ["cam 1/007.png"]
    assert item.roles == ("flagged",)
    assert list(item.reasons) == detector.reasons([night / "007.png"])[0]
    assert item.words.startswith(("stranger than all", "as strange as"))
    shown = item.image
    assert (shown.folder, shown.width, shown.height) == ("cam 1", 64, 64)
    region = shown.regions[0]
    assert region.left < 14 < region.right
    assert region.top < 50 < region.bottom
    assert shown.level == detector.heat_level_
    assert (tmp_path / "out" / shown.heatmap_file).is_file()
    heat = np.asarray(opened(shown.heat))
    assert heat[75, 21] == heat.max()  # of 96 cells, 50 and 14 of 64 pixels
    outlines = [64 * np.reshape(one, (-1, 2)) for one in shown.contours]
    assert any(
        (o.min(axis=0) < (14, 50)).all() and (o.max(axis=0) > (14, 50)).all() for o in outlines
    )
    assert np.asarray(opened(shown.thumbnail))[50, 14].mean() < 60


def test_a_small_night_keeps_a_few_of_the_others_the_highest_of_them_and_by_draw(
    image_model, tmp_path
):
    write_surfaces(tmp_path / "night", 12, holes=(4,))
    score_images(image_model, tmp_path / "night", tmp_path / "out")
    others = [item for item in kept(tmp_path / "out") if not item.is_anomaly]
    assert sum("near_miss" in item.roles for item in others) == 4
    assert sum("audit" in item.roles for item in others) == 4
    assert all(item.image.thumbnail and not item.image.contours for item in others)


def test_large_and_deep_images_are_small_and_shown_as_the_model_sees_them(image_model, tmp_path):
    night = tmp_path / "night"
    night.mkdir()
    deep = np.asarray(surface(3).resize((900, 450))).astype(np.uint16) * 257
    Image.fromarray(deep).save(night / "deep.png")
    score_images(image_model, night, tmp_path / "out")
    (item,) = kept(tmp_path / "out")
    small, heat = opened(item.image.thumbnail), opened(item.image.heat)
    assert small.format == "WEBP"
    assert small.size == (THUMBNAIL_SIDE, THUMBNAIL_SIDE // 2)
    assert (heat.format, heat.mode, heat.size) == ("PNG", "L", (MAP_SIDE, MAP_SIDE // 2))
    expected = np.asarray(surface(3).resize(small.size)).mean()
    assert abs(np.asarray(small).mean() - expected) < 2.0


def test_images_in_tiles_are_kept_alike(tmp_path):
    images = [np.asarray(surface(seed).resize((160, 128))) for seed in range(12)]
    detector = ImageVAEDetector(tile_size=64, preset="fast", pose="any", random_state=0)
    detector.fit(images).save(tmp_path / "model")
    (tmp_path / "night").mkdir()
    bad = images[0].copy()
    bad[90:110, 120:140] = 0
    Image.fromarray(bad).save(tmp_path / "night" / "bad.png")
    score_images(tmp_path / "model", tmp_path / "night", tmp_path / "out")
    (item,) = kept(tmp_path / "out")
    assert (item.image.width, item.image.height) == (160, 128)
    region = item.image.regions[0]
    assert region.left < 130 < region.right
    assert region.top < 100 < region.bottom
    assert item.image.reconstruction is None


def test_a_model_on_pixels_shows_what_it_expected_of_flagged_images(pixel_model, tmp_path):
    write_surfaces(tmp_path / "night", 6, holes=(2,))
    score_images(pixel_model, tmp_path / "night", tmp_path / "out")
    shown = {item.id: item for item in kept(tmp_path / "out")}
    assert shown["002.png"].is_anomaly
    assert opened(shown["002.png"].image.reconstruction).size == (64, 64)
    assert all((one.image.reconstruction is None) != one.is_anomaly for one in shown.values())


def test_what_is_kept_follows_from_the_images_alone(image_model, tmp_path, monkeypatch):
    write_surfaces(tmp_path / "night", 9, holes=(2, 5))
    score_images(image_model, tmp_path / "night", tmp_path / "one")
    monkeypatch.setattr("vae_anomaly.detectors.judged.AT_ONCE", 2)
    score_images(image_model, tmp_path / "night", tmp_path / "two")
    one, two = kept(tmp_path / "one"), kept(tmp_path / "two")
    assert [(item.id, item.roles, item.reasons) for item in one] == [
        (item.id, item.roles, item.reasons) for item in two
    ]


def test_what_is_kept_is_listed_and_scored_again_where_it_was_lost(image_model, tmp_path, hashes):
    write_surfaces(tmp_path / "night", 4, holes=(1,))
    score_images(image_model, tmp_path / "night", tmp_path / "out")
    before = hashes(tmp_path / "out")
    (entry,) = read_manifest(tmp_path / "out")["partitions"]
    assert "review/night-0000.jsonl" in entry["files"]
    (tmp_path / "out" / "review" / "night-0000.jsonl").unlink()
    assert score_images(image_model, tmp_path / "night", tmp_path / "out").skipped == 0
    assert hashes(tmp_path / "out") == before


@pytest.mark.parametrize("step", ["temp-written:3", "renamed:3", "renamed:4", "before-manifest"])
def test_killed_while_it_is_kept_and_run_again_every_byte_is_there(
    step, image_model, tmp_path, hashes, launch
):
    """Overlay and mask are the first two files, then come the items, the output, the facts."""
    night = write_surfaces(tmp_path / "night", 3, holes=(1,))
    assert launch(image_model, night, tmp_path / "out", step, images=True) == KILLED
    score_images(image_model, night, tmp_path / "out")
    score_images(image_model, night, tmp_path / "undisturbed")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "undisturbed")


def test_what_was_kept_goes_with_its_partition(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 5, holes=(4,))
    options = {"images_per_partition": 2}
    score_images(image_model, night, tmp_path / "out", **options)
    assert len(list((tmp_path / "out" / "review").glob("*.jsonl"))) >= 3
    for number in (2, 3, 4):
        (night / f"{number:03d}.png").unlink()
    score_images(image_model, night, tmp_path / "out", **options)
    assert [path.name for path in (tmp_path / "out" / "review").glob("*.jsonl")] == [
        "night-0000.jsonl"
    ]


def test_several_workers_keep_what_one_keeps(image_model, tmp_path, hashes):
    for folder in ("left", "right"):
        write_surfaces(tmp_path / "night" / folder, 5, holes=(3,))
    options = {"images_per_partition": 5}
    assert len(plan_images(tmp_path / "night", per_partition=5)) == 2
    score_images(image_model, tmp_path / "night", tmp_path / "one", **options)
    score_images(image_model, tmp_path / "night", tmp_path / "two", workers=2, **options)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


def test_output_of_an_earlier_version_stands_and_has_kept_nothing(image_model, tmp_path):
    from vae_anomaly.batch.output.ledger import Ledger
    from vae_anomaly.batch.output.manifest import night_keys

    write_surfaces(tmp_path / "night", 3)
    out = tmp_path / "out"
    score_images(image_model, tmp_path / "night", out)
    with Ledger(out / "ledger.sqlite") as ledger:  # as earlier versions have left it
        (row,) = ledger.rows().values()
        del row.files["review/night-0000.jsonl"]
        ledger.record(row)
        ledger._execute("DROP TABLE nights")
    manifest = json.loads((out / "manifest.json").read_text())
    for name in ("nights", "models"):
        del manifest[name]
    assert night_keys(manifest) == [["night-0000"]]
    assert score_images(image_model, tmp_path / "night", out).skipped == 1
    assert kept(out) == []
