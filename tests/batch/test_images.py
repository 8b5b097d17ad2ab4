"""Score folders of images; what cannot be decoded is quarantined by name."""

from __future__ import annotations

import io
import weakref
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tracking.real_models import surface, write_surfaces

from vae_anomaly import ImageVAEDetector, load_detector
from vae_anomaly.batch import (
    plan_images,
    read_manifest,
    read_quarantine,
    read_results,
    read_review,
    score_images,
)
from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.data.images.resize import prepare_image
from vae_anomaly.errors import ConfigError, DataError, ModelRefusedError, TooManyBadItemsError


def test_images_are_scored_as_the_detector_scores_them(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 12, holes=(4, 9))
    summary = score_images(image_model, night, tmp_path / "out")
    results = read_results(tmp_path / "out")
    detector = load_detector(image_model)
    expected = detector.anomaly_score(sorted(night.iterdir()))
    assert results["id"].tolist() == [f"{number:03d}.png" for number in range(12)]
    np.testing.assert_allclose(results["score"], expected, rtol=1e-4)
    assert results["is_anomaly"].to_numpy().nonzero()[0].tolist() == [4, 9]
    assert (summary.rows_in, summary.flagged, summary.quarantined) == (12, 2, 0)


def test_the_device_is_chosen_for_the_run_and_makes_no_result_out_of_date(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 4)
    first = score_images(image_model, night, tmp_path / "out", device="auto")
    again = score_images(image_model, night, tmp_path / "out", device="cpu")
    assert (first.skipped, again.skipped) == (0, 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_written(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 4)
    with pytest.raises(ConfigError, match="device='cuda' was asked for"):
        score_images(image_model, night, tmp_path / "out", device="cuda", workers=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")
def test_two_workers_share_a_gpu(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 12, holes=(4, 9))
    options = {"images_per_partition": 6, "heatmaps": "none", "masks": "none"}
    score_images(image_model, night, tmp_path / "out", device="cuda", workers=2, **options)
    expected = load_detector(image_model).anomaly_score(sorted(night.iterdir()))
    found = read_results(tmp_path / "out").sort_values("id")["score"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("which", "drawn"), [("flagged", {4}), ("all", set(range(6))), ("none", set())]
)
def test_heatmaps_are_drawn_for_what_was_asked(which, drawn, image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 6, holes=(4,))
    score_images(image_model, night, tmp_path / "out", heatmaps=which)
    results = read_results(tmp_path / "out")
    assert set(results.index[results["heatmap"].notna()]) == drawn
    for name in results["heatmap"].dropna():
        with Image.open(tmp_path / "out" / name) as shown:
            assert shown.size == (64, 64)


@pytest.mark.parametrize(
    ("which", "masked"), [("flagged", {4}), ("all", set(range(6))), ("none", set())]
)
def test_masks_are_the_detectors_in_eight_bits(which, masked, image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 5)
    surface(9, hole=True).resize((80, 48)).save(night / "004.png")
    surface(5).save(night / "005.png")
    score_images(image_model, night, tmp_path / "out", masks=which, heatmaps="none")
    results = read_results(tmp_path / "out")
    assert set(results.index[results["mask"].notna()]) == masked
    assert sorted(results["mask"].dropna()) == sorted(
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")
    )
    expected = load_detector(image_model).masks(night)
    for row, name in results["mask"].dropna().items():
        with Image.open(tmp_path / "out" / name) as shown:
            assert shown.mode == "L"
            np.testing.assert_array_equal(np.asarray(shown), expected[row] * np.uint8(255))
    assert not masked or expected[4].any()


def test_mask_that_was_lost_is_drawn_again(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 3, holes=(1,))
    score_images(image_model, night, tmp_path / "out")
    (lost,) = (tmp_path / "out" / "masks").rglob("*.png")
    lost.unlink()
    assert score_images(image_model, night, tmp_path / "out").skipped == 0
    assert lost.is_file()


def test_large_images_are_scored_in_tiles_and_what_is_too_small_is_set_aside(tmp_path):
    images = [np.asarray(surface(seed).resize((160, 128))) for seed in range(12)]
    detector = ImageVAEDetector(tile_size=64, preset="fast", pose="any", random_state=0)
    detector.fit(images).save(tmp_path / "model")
    (tmp_path / "night").mkdir()
    for seed in (20, 21):
        surface(seed, hole=seed == 21).resize((160, 128)).save(tmp_path / "night" / f"{seed}.png")
    surface(22).resize((160, 40)).save(tmp_path / "night" / "small.png")
    score_images(
        tmp_path / "model", tmp_path / "night", tmp_path / "out", masks="all", max_bad_fraction=0.5
    )
    results = read_results(tmp_path / "out")
    names = [tmp_path / "night" / name for name in ("20.png", "21.png")]
    np.testing.assert_array_equal(results["score"], detector.anomaly_score(names))
    with Image.open(tmp_path / "out" / results["mask"][1]) as mask:
        assert mask.size == (160, 128)
    (bad,) = read_quarantine(tmp_path / "out" / "quarantine" / "night-0000.jsonl")
    assert (bad.id, bad.code) == ("small.png", "size")


def test_heatmap_is_hot_where_the_spot_is(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 1)
    spotted = np.asarray(surface(5)).copy()
    spotted[48:52, 48:52] = 90
    Image.fromarray(spotted).save(night / "000.png")
    score_images(image_model, night, tmp_path / "out", heatmaps="all")
    with Image.open(tmp_path / "out" / read_results(tmp_path / "out")["heatmap"][0]) as shown:
        drawn = np.asarray(shown).astype(int)
    change = np.abs(drawn - spotted[..., None]).sum(axis=2)
    assert change[44:56, 44:56].mean() > 3 * change[:24, :24].mean()
    rows, columns = (drawn == [0, 255, 255]).all(axis=2).nonzero()
    assert rows.size
    assert rows.min() < 48 < rows.max()
    assert columns.min() < 48 < columns.max()


def test_night_is_cut_into_pieces_of_one_folder(image_model, tmp_path):
    write_surfaces(tmp_path / "night" / "left", 5)
    write_surfaces(tmp_path / "night" / "right", 3, first=50)
    plan = plan_images(tmp_path / "night", per_partition=2)
    assert [part.key for part in plan if part.key.endswith("-0000")] == [
        "night__left-0000", "night__right-0000",
    ]  # fmt: skip
    assert all(len(part.folders) == 1 and len(part.files) <= 2 for part in plan)
    assert [file.id for part in plan for file in part.files] == [
        *(f"left/{number:03d}.png" for number in range(5)),
        *(f"right/{number:03d}.png" for number in range(3)),
    ]
    score_images(image_model, tmp_path / "night", tmp_path / "out", images_per_partition=2)
    assert read_results(tmp_path / "out")["id"].is_unique
    assert read_manifest(tmp_path / "out")["totals"]["rows_out"] == 8


def test_folder_with_fewer_images_leaves_no_old_results(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 5, holes=(4,))
    score_images(image_model, night, tmp_path / "out", images_per_partition=2)
    for number in (2, 3, 4):
        (night / f"{number:03d}.png").unlink()
    score_images(image_model, night, tmp_path / "out", images_per_partition=2)
    assert read_results(tmp_path / "out")["id"].tolist() == ["000.png", "001.png"]
    assert sorted(path.name for path in (tmp_path / "out").glob("part-*")) == [
        "part-night-0000.parquet"
    ]
    assert not list((tmp_path / "out").rglob("*.png"))


def test_second_run_changes_no_byte_and_adds_no_file(image_model, tmp_path, hashes):
    night = write_surfaces(tmp_path / "night", 6, holes=(2,))
    (night / "broken.png").write_bytes(b"no image")
    score_images(image_model, night, tmp_path / "out", max_bad_fraction=0.5)
    before = hashes(tmp_path / "out")
    again = score_images(image_model, night, tmp_path / "out", max_bad_fraction=0.5)
    assert again.skipped == 1
    assert hashes(tmp_path / "out") == before
    score_images(image_model, night, tmp_path / "other", max_bad_fraction=0.5)
    assert hashes(tmp_path / "other") == before


def jpeg() -> bytes:
    buffer = io.BytesIO()
    surface(7).save(buffer, format="JPEG")
    return buffer.getvalue()


def animation() -> bytes:
    buffer = io.BytesIO()
    frames = [surface(seed) for seed in (1, 2)]
    frames[0].save(buffer, format="PNG", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


BROKEN = {
    "half.jpg": (jpeg()[: len(jpeg()) // 2], "truncated"),
    "short.jpg": (jpeg()[: int(len(jpeg()) * 0.95)], "truncated"),
    "empty.png": (b"", "empty"),
    "text.png": (b"id,amount\n1,2\n", "not_an_image"),
    "random.bmp": (np.random.default_rng(0).bytes(500), "not_an_image"),
    "animated.png": (animation(), "frames"),
}


def test_images_that_cannot_be_decoded_go_to_quarantine_and_the_rest_is_scored(
    image_model, tmp_path
):
    night = write_surfaces(tmp_path / "night", 3)
    for name, (content, _) in BROKEN.items():
        (night / name).write_bytes(content)
    with pytest.raises(TooManyBadItemsError, match="6 of 9"):
        score_images(image_model, night, tmp_path / "out")
    bad = read_quarantine(tmp_path / "out" / "quarantine" / "night-0000.jsonl")
    assert {item.id: item.code for item in bad} == {
        name: code for name, (_, code) in BROKEN.items()
    }
    assert all(str(night / item.id) in item.source for item in bad)
    assert len(read_results(tmp_path / "out")) == 3


def test_an_image_that_memory_does_not_suffice_for_is_quarantined(
    image_model, tmp_path, monkeypatch
):
    night = write_surfaces(tmp_path / "night", 4)
    Image.new("L", (64, 99)).save(night / "decoded.png")
    Image.new("L", (64, 98)).save(night / "judged.png")

    def pixels_of(name, image):
        if image.height == 99:
            raise MemoryError
        return np.asarray(image)

    def resized(pixels, *args):
        if pixels.shape[0] == 98:
            raise MemoryError
        return prepare_image(pixels, *args)

    monkeypatch.setattr("vae_anomaly.data.images.decode.read.pixels_of", pixels_of)
    monkeypatch.setattr("vae_anomaly.detectors.images.image_list.images.prepare_image", resized)
    summary = score_images(image_model, night, tmp_path / "out", max_bad_fraction=1)
    bad = read_quarantine(tmp_path / "out" / "quarantine" / "night-0000.jsonl")
    assert [(one.id, one.code) for one in bad] == [
        ("decoded.png", "memory"),
        ("judged.png", "memory"),
    ]
    assert summary.rows_out == 4


OF_TORCH = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)"
)


STEPS = {
    "batch.images.render_overlay": lambda args: args[0].shape[0],
    "batch.images.render_mask": lambda args: args[0].shape[0],
    "detectors.images.reasons.regions_at": lambda args: args[1][0],
    "detectors.images.image_list.images.prepare_image": lambda args: args[0].shape[0],
}


@pytest.mark.parametrize("error", [MemoryError(), OF_TORCH], ids=["python", "torch"])
@pytest.mark.parametrize(("step", "height"), STEPS.items(), ids=STEPS)
def test_an_image_that_memory_does_not_suffice_to_draw_is_quarantined_and_leaves_nothing(
    step, height, error, image_model, tmp_path, monkeypatch
):
    night = write_surfaces(tmp_path / "night", 3, holes=(1, 2))
    surface(1, hole=True).resize((64, 98)).save(night / "large.png")
    room, _, name = f"vae_anomaly.{step}".rpartition(".")
    real = getattr(import_module(room), name)

    def short_of_memory(*args, **kwargs):
        if height(args) == 98:
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(f"vae_anomaly.{step}", short_of_memory)
    summary = score_images(image_model, night, tmp_path / "out", max_bad_fraction=1)
    (bad,) = read_quarantine(tmp_path / "out" / "quarantine" / "night-0000.jsonl")
    assert (bad.id, bad.code, summary.rows_out) == ("large.png", "memory", 3)
    assert not list((tmp_path / "out").rglob("large.png*"))
    manifest = read_manifest(tmp_path / "out")
    assert "large" not in str(manifest["partitions"][0]["files"])
    (entry,) = manifest["partitions"]
    assert {item.id for item in read_review(tmp_path / "out", entry)} == {
        "000.png", "001.png", "002.png",
    }  # fmt: skip


def test_a_block_is_let_go_before_the_next_is_decoded(image_model, tmp_path, monkeypatch):
    night = write_surfaces(tmp_path / "night", 6)
    held, most = set(), []

    def decoded(path, **limits):
        pixels = decode_image(path, **limits)
        held.add(path)
        weakref.finalize(pixels, held.discard, path)
        most.append(len(held))
        return pixels

    monkeypatch.setattr("vae_anomaly.batch.images.decode_image", decoded)
    monkeypatch.setattr("vae_anomaly.detectors.judged.AT_ONCE", 2)
    score_images(image_model, night, tmp_path / "out")
    assert max(most) == 2


def test_unusual_but_sound_images_are_scored(image_model, tmp_path):
    night = tmp_path / "night"
    night.mkdir()
    surface(1).convert("CMYK").save(night / "cmyk.jpg")
    surface(2).resize((31, 77)).save(night / "odd.png")
    deep = np.asarray(surface(3)).astype(np.uint16) * 257
    Image.fromarray(deep).save(night / "deep.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    surface(4).save(night / "turned.jpg", exif=turned)
    summary = score_images(image_model, night, tmp_path / "out")
    assert (summary.rows_out, summary.quarantined) == (4, 0)


def test_folder_without_images_is_refused_and_nothing_is_written(image_model, tmp_path):
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "notes.txt").write_text("nothing here")
    with pytest.raises(DataError, match="holds no images"):
        score_images(image_model, tmp_path / "night", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_model_of_tables_is_refused_for_images(table_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 1)
    with pytest.raises(ModelRefusedError, match="model of tables"):
        score_images(table_model, night, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_manifest_that_leads_out_of_its_folder_is_refused(image_model, tmp_path):
    write_surfaces(tmp_path / "elsewhere", 1)
    (tmp_path / "night").mkdir()
    listing = pd.DataFrame({"path": ["../elsewhere/000.png"]})
    listing.to_csv(tmp_path / "night" / "list.csv", index=False)
    with pytest.raises(DataError, match="leads out"):
        score_images(image_model, tmp_path / "night" / "list.csv", tmp_path / "out")
