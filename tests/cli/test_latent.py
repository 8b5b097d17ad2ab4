"""`vae-anomaly latent`: grids of images and tables of rows, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cli.evaluation_fixtures import *  # noqa: F403 - fixtures
from PIL import Image

from vae_anomaly import load_detector
from vae_anomaly.reports.grids import GAP, LABEL_HEIGHT, LABEL_WIDTH

SIDE = 96 + GAP  # a preview of 16 pixels, six times as large


def size_of(path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_embedding_has_one_row_an_item_with_its_id(
    call_json, table_model, image_model, rows, images
):
    said = call_json("latent", "embed", table_model, rows, "--out", "z.parquet")
    table = pd.read_parquet("z.parquet")
    frame = pd.read_parquet(rows)
    assert said["items"] == len(table) == len(frame)
    assert table["id"].tolist() == [f"rows.parquet#{i + 1}" for i in range(300)]
    assert set(table.dtypes.iloc[1:]) == {np.dtype("float32")}
    means = load_detector(table_model).transform(frame)
    np.testing.assert_allclose(table.filter(like="z").to_numpy(), means, atol=1e-5)
    call_json("latent", "embed", image_model, images, "--out", "p.csv")
    assert pd.read_csv("p.csv")["id"].tolist()[:2] == ["000.png", "001.png"]


def test_items_that_cannot_be_read_are_left_out_of_the_embedding_and_counted(
    call, call_json, table_model, image_model, images
):
    (images / "broken.png").write_bytes(b"no image")
    said = call_json("latent", "embed", image_model, images, "--out", "p.csv")
    assert (said["items"], said["left_out"]) == (24, {"unreadable": 1})
    frame = transactions(5, seed=1)
    frame.loc[2, "amount"] = np.inf
    frame.to_csv("day.csv", index=False)
    code, _, err = call("latent", "embed", table_model, "day.csv", "--out", "z.csv")
    assert (code, "1 item left out (unreadable)" in err) == (0, True)
    assert pd.read_csv("z.csv")["id"].tolist() == [f"day.csv#{i}" for i in (1, 2, 4, 5)]


def test_samples_fill_a_square_of_the_size_promised(call_json, image_model):
    said = call_json("latent", "sample", image_model, "--n", 7, "--out", "made/grid.png")
    assert tuple(said["shape"]) == size_of("made/grid.png") == (3 * SIDE + GAP, 3 * SIDE + GAP)


@pytest.mark.parametrize("sampler", ["prior", "gmm"])
def test_the_same_seed_writes_the_same_bytes(call, table_model, image_model, tmp_path, sampler):
    for model, ending in ((table_model, "csv"), (table_model, "parquet"), (image_model, "png")):
        written = []
        for seed in (1, 1, 2):
            args = ("--n", 4, "--sampler", sampler, "--seed", seed, "--out", f"made.{ending}")
            assert call("latent", "sample", model, *args)[0] == 0
            written.append((tmp_path / f"made.{ending}").read_bytes())
        assert written[0] == written[1] != written[2]


def test_generated_rows_are_marked_and_left_out_of_tests_and_thresholds(
    call, call_json, table_model
):
    call_json("latent", "sample", table_model, "--n", 60, "--out", "made.parquet")
    made = pd.read_parquet("made.parquet")
    assert made["synthetic"].all()
    real = labelled_transactions()
    pd.concat([real, made.assign(is_fraud=1, online=True)]).to_parquet("mixed.parquet")
    said = call_json("evaluate", table_model, "mixed.parquet", "--labels", "is_fraud")
    assert said["left_out"] == {"synthetic": 60}
    code, out, _ = call("threshold", "tune", table_model, "--input", "mixed.parquet")
    assert (code, "150 scores; 60 left out (synthetic)" in out) == (0, True)


def test_training_tells_that_generated_rows_are_left_out(call_json, table_model):
    made = load_detector(table_model).augment(transactions(60, seed=3), 30, random_state=0)
    made.to_parquet("mixed.parquet")
    said = call_json(
        "train", "table", "mixed.parquet", "--out", "m", "--no-register", "--preset", "fast",
        "--max-steps", 5, "--ignore", "id",
    )  # fmt: skip
    assert said["n_held_out"] == 60
    assert "30 of 90 rows are marked as generated" in said["reading"]["notes"][0]


def test_a_way_between_images_is_one_labelled_row(call_json, image_model, images):
    ends = (images / "001.png", images / "002.png")
    said = call_json("latent", "interpolate", image_model, *ends, "--steps", 4, "--out", "way.png")
    assert tuple(said["shape"]) == size_of("way.png") == (4 * SIDE + GAP, LABEL_HEIGHT + SIDE + GAP)


def test_a_way_between_rows_named_by_number_ends_at_their_reconstructions(call, table_model, rows):
    args = (f"{rows}:3", f"{rows}:17", "--steps", 5, "--out", "way.csv")
    assert call("latent", "interpolate", table_model, *args)[0] == 0
    way = pd.read_csv("way.csv", parse_dates=["when"])
    assert way["step"].tolist() == [0, 1, 2, 3, 4]
    assert way["synthetic"].all()
    ends = load_detector(table_model).reconstruct(pd.read_parquet(rows).iloc[[2, 16]])
    np.testing.assert_allclose(way["amount"].iloc[[0, 4]], ends["amount"], rtol=1e-4)
    assert way["merchant"].iloc[[0, 4]].tolist() == ends["merchant"].tolist()


def test_a_row_can_be_named_by_its_id(call, call_json, tmp_path, rows):
    train = ("train", "table", rows, "--out", "m", "--no-register", "--max-steps", 5)
    call_json(*train, "--preset", "fast", "--id-column", "id")
    for name in ("rows.parquet:id=t7-4", "rows.parquet:5"):
        assert call("latent", "traverse", "m", name, "--out", f"{name[-1]}.csv")[0] == 0
    assert (tmp_path / "4.csv").read_bytes() == (tmp_path / "5.csv").read_bytes()
    call_json("latent", "embed", "m", rows, "--out", "z.csv")
    assert pd.read_csv("z.csv")["id"].tolist()[:2] == ["t7-0", "t7-1"]


def test_a_traversal_has_a_labelled_row_for_each_latent(call_json, image_model, images):
    said = call_json(
        "latent", "traverse", image_model, images / "000.png", "--latents", "0,2", "--steps", 3,
        "--out", "t.png",
    )  # fmt: skip
    assert said["latents"] == [0, 2]
    assert size_of("t.png") == (LABEL_WIDTH + 3 * SIDE + GAP, LABEL_HEIGHT + 2 * SIDE + GAP)


def test_a_traversal_of_rows_moves_the_eight_latents_that_vary_most(call_json, table_model):
    said = call_json("latent", "traverse", table_model, "--limit", 2, "--out", "t.parquet")
    table = pd.read_parquet("t.parquet")
    assert table["latent"].drop_duplicates().tolist() == said["latents"]
    assert said["latents"] == load_detector(table_model).leading_latents(8)
    assert sorted(set(table["latent_value"])) == pytest.approx(np.linspace(-2, 2, 7))


@pytest.mark.parametrize(
    ("model", "args", "told"),
    [
        ("table", ("sample", "--out", "grid.png"), (".parquet", ".csv")),
        ("table", ("sample", "--out", "rows.xlsx"), (".parquet", ".csv")),
        ("image", ("sample", "--out", "rows.csv"), (".png",)),
        ("image", ("embed", "images", "--out", "z.png"), (".parquet", ".csv")),
        ("table", ("interpolate", "a.png", "b.png", "--out", "w.csv"), ("a.png", "days.csv:17")),
        ("table", ("traverse", "rows.parquet:x", "--out", "t.csv"), ("neither a number nor id=",)),
        ("table", ("traverse", "rows.parquet:id=7", "--out", "t.csv"), ("no id column",)),
        ("image", ("interpolate", "d.csv", "d.csv", "--out", "w.png"), ("images", "d.csv")),
        ("image", ("traverse", "--latents", "0;1", "--out", "t.png"), ("0,1,2",)),
        ("image", ("traverse", "--latents", "999", "--out", "t.png"), ("999",)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_what_does_not_suit_the_model_is_wrong_usage(
    call, table_model, image_model, rows, images, model, args, told
):
    command, *rest = args
    folder = table_model if model == "table" else image_model
    code, out, err = call("latent", command, folder, *rest)
    assert (code, out) == (2, "")
    assert all(word in err for word in told)


def test_a_row_that_is_not_there_is_named(call, table_model, rows):
    code, _, err = call("latent", "traverse", table_model, f"{rows}:301", "--out", "t.csv")
    assert (code, "300 rows; got row 301" in err) == (3, True)


def test_an_existing_file_is_replaced_and_nothing_else_is_left(call, table_model, tmp_path):
    (tmp_path / "rows.csv").write_text("old")
    before = set(tmp_path.iterdir())
    assert call("latent", "sample", table_model, "--n", 3, "--out", "rows.csv")[0] == 0
    assert len(pd.read_csv("rows.csv")) == 3
    assert {p for p in set(tmp_path.iterdir()) - before if p.name != "cache"} == set()
