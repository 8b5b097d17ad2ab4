"""Training from the command line: what is read, told, stored, and refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tracking.real_models import surface, transactions, write_surfaces

from vae_anomaly import ImageVAEDetector, load_detector
from vae_anomaly.batch.output.results import read_results
from vae_anomaly.cli import train
from vae_anomaly.detectors.parameters import IMAGE, TABULAR
from vae_anomaly.errors import ConfigError, DataError, SchemaError
from vae_anomaly.jobs import SAMPLE_ROWS, Destination, train_images_job

QUICK = ("--preset", "fast", "--max-steps", 15)


@pytest.fixture
def parts(tmp_path):
    """Sixteen images of good parts, two of each part."""
    return write_surfaces(tmp_path / "parts", 16, first=300)


@pytest.fixture
def groups(parts):
    """Name the part of each image."""
    names = sorted(path.name for path in parts.iterdir())
    table = pd.DataFrame({"path": names, "group": [f"part{i // 2}" for i in range(len(names))]})
    table.to_csv(parts.parent / "groups.csv", index=False)
    return parts.parent / "groups.csv"


def test_table_is_trained_registered_and_told_in_words(call, rows, store):
    code, out, _ = call("train", "table", rows, "--name", "cards", "--tracking-uri", store,
                        "--id-column", "id", *QUICK)  # fmt: skip
    assert code == 0
    assert "300 rows of 5 columns" in out
    for word in ("merchant", "categorical", "text with 3 values", "interval", "version 1"):
        assert word in out
    command = "vae-anomaly score table models:/cards@champion NEW_ROWS --out flags/"
    assert f"{command} --tracking-uri {store}" in out
    code, out, _ = call("models", "list", "--tracking-uri", store)
    assert "@champion = 1" in out


def test_a_black_image_is_left_out_named_and_shown(call, call_json, parts, tmp_path):
    write_surfaces(parts, 40, first=300)
    Image.fromarray(np.zeros_like(surface(300))).save(parts / "black.png")
    small = ("--size", 64, *QUICK)
    command = ("train", "images", parts, "--out", tmp_path / "m", "--no-register", *small)
    code, out, err = call(*command)
    assert code == 0
    assert "Left out as outliers" in out
    assert "black.png: " in out
    assert "black.png" not in err  # said once
    sheet = tmp_path / "m-outliers.png"
    assert str(sheet) in out
    with Image.open(sheet) as drawn:
        assert drawn.width > 300
    report = call_json(*command)
    assert [item["id"] for item in report["outliers"]] == ["black.png"]
    assert report["outlier_sheet"] == str(sheet)
    assert load_detector(tmp_path / "m").left_out_[0].id == "black.png"
    store = tmp_path / "store"
    again = ("train", "images", parts, "--name", "plates", "--tracking-uri", store, *small)
    assert call(*again)[0] == 0
    _, shown, _ = call("models", "show", "plates", "--tracking-uri", store)
    assert "Version 1 was trained without black.png: outliers" in shown
    (why,) = store.rglob("left_out.json")
    assert json.loads(why.read_text(encoding="utf-8"))[0]["id"] == "black.png"
    kept = call_json(*command, "--outliers", "keep")
    assert kept["outliers"] == []
    assert kept["outlier_sheet"] is None


def test_an_absurd_row_is_named_by_its_id(call_json, rows, tmp_path):
    table = pd.read_csv(rows) if rows.suffix == ".csv" else pd.read_parquet(rows)
    number = table.select_dtypes("number").columns[-1]
    table[number] = table[number].astype(float)
    table.loc[7, number] = 1e12
    table.to_csv(tmp_path / "absurd.csv", index=False)
    report = call_json("train", "table", tmp_path / "absurd.csv", "--out", tmp_path / "m",
                       "--no-register", "--id-column", "id", *QUICK)  # fmt: skip
    assert [item["id"] for item in report["outliers"]] == [f"id {table['id'][7]}"]


def test_json_says_what_text_says_and_the_folder_can_be_loaded(call_json, rows):
    said = call_json("train", "table", rows, "--out", "model", "--no-register", *QUICK)
    assert (said["model"], said["registered"], said["reading"]["n_read"]) == ("model", None, 300)
    kinds = {column["name"]: column["kind"] for column in said["columns"]}
    assert kinds == {
        "id": "identifier", "amount": "numeric", "merchant": "categorical",
        "online": "boolean", "when": "timestamp",
    }  # fmt: skip
    detector = load_detector("model")
    assert detector.threshold_.value == said["threshold"]["value"]
    assert said["n_held_out"] == detector.calibration_.n
    assert 0 < said["steps"] <= 15


def test_two_trainings_with_one_seed_give_one_model(call_json, rows, tmp_path):
    for name in ("a", "b"):
        call_json("train", "table", rows, "--out", name, "--no-register", "--seed", 3, *QUICK)
    digests = [(tmp_path / name / "SHA256SUMS").read_text() for name in ("a", "b")]
    assert digests[0] == digests[1]


def test_labelled_anomalies_are_left_out_and_measure_the_ranking(call_json, tmp_path):
    frame = transactions(300, seed=8)
    frame["fraud"] = np.arange(300) >= 290
    frame.loc[frame["fraud"], "amount"] = 50_000.0
    frame.to_csv(tmp_path / "days.csv", index=False)
    said = call_json("train", "table", "days.csv", "--labels", "fraud", "--out", "m",
                     "--no-register", *QUICK)  # fmt: skip
    assert said["reading"]["n_left_out"] == 10
    assert said["metrics"]["labelled_anomalies"] == 10
    assert said["metrics"]["auroc"] > 0.9
    assert load_detector("m").fingerprint_["rows"] == 290
    assert "fraud" not in [column["name"] for column in said["columns"]]


def test_labels_may_lie_in_a_file_of_their_own(call_json, rows, tmp_path):
    ids = pd.read_parquet(rows)["id"]
    pd.DataFrame({"id": ids[:20], "bad": 1}).to_csv(tmp_path / "labels.csv", index=False)
    said = call_json("train", "table", rows, "--labels", "labels.csv:bad", "--id-column", "id",
                     "--out", "m", "--no-register", *QUICK)  # fmt: skip
    assert said["reading"]["n_left_out"] == 20


def test_kind_and_ignore_and_groups_rule_over_inference(call_json, rows):
    said = call_json("train", "table", rows, "--kind", "online=categorical", "--ignore", "when",
                     "--groups", "merchant", "--out", "m", "--no-register", *QUICK)  # fmt: skip
    kinds = {column["name"]: column["kind"] for column in said["columns"]}
    assert (kinds["online"], kinds["when"], kinds["merchant"]) == (
        "categorical", "ignored", "identifier",
    )  # fmt: skip


def test_every_parameter_of_a_table_detector_can_be_set(call_json, rows):
    given = {
        "model": "beta", "score": "elbo", "beta": 3.0, "latent_dim": 3, "hidden": 8, "memory": 150,
        "contamination": 0.01, "preset": "thorough", "target_fpr": 0.05, "max_steps": 5,
        "outliers": "keep", "random_state": 4,
    }  # fmt: skip
    flags = {parameter.name: parameter.flag for parameter in TABULAR}
    options = [word for name, value in given.items() for word in (flags[name], value)]
    call_json("train", "table", rows, *options, "--out", "m", "--no-register")
    made = load_detector("m").get_params(deep=False)
    assert {name: made[name] for name in given} == given
    assert set(flags) - set(given) == {"condition"}  # of model="conditional"


def test_another_member_of_the_family_is_trained_and_its_latents_are_told(call, rows):
    code, out, _ = call("train", "table", rows, "--model", "conditional", "--condition", "merchant",
                        "--beta", 0.5, "--latent-dim", 3, "--out", "m", "--no-register",
                        *QUICK)  # fmt: skip
    assert code == 0
    assert "Latents in use: " in out
    assert " of 3 (" in out
    made = load_detector("m").get_params()
    assert (made["model"], made["condition"], made["beta"]) == ("conditional", "merchant", 0.5)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model", "conditional"], "--condition product"),
        (["--condition", "merchant"], "Only model='conditional'"),
        (["--model", "conditional", "--condition", "amount"], "--kind amount=categorical"),
    ],
)
def test_a_condition_that_cannot_be_one_is_a_usage_error(call, rows, options, told):
    code, _, err = call("train", "table", rows, *options, "--out", "m", "--no-register", *QUICK)
    assert code == 2
    assert told in " ".join(err.split())


def test_an_edited_schema_is_obeyed(call, call_json, rows, tmp_path):
    call("data", "schema", rows, "--out", "s.json")
    edited = json.loads((tmp_path / "s.json").read_text())
    edited["columns"][1]["kind"] = "ignored"
    (tmp_path / "s.json").write_text(json.dumps(edited))
    said = call_json("train", "table", rows, "--schema", "s.json", "--out", "m", "--no-register",
                     *QUICK)  # fmt: skip
    assert said["columns"][1]["kind"] == "ignored"
    assert "not read by the model: id, amount" in said["reading"]["notes"]


def test_constant_column_and_missing_cells_train_with_a_note(call, tmp_path):
    frame = transactions(300, seed=9).assign(plant="north")
    frame.loc[::7, "amount"] = np.nan
    frame.to_parquet(tmp_path / "rows.parquet")
    code, out, err = call("train", "table", "rows.parquet", "--out", "m", "--no-register", *QUICK)
    assert code == 0, err
    assert "column 'plant' holds one value only" in out


def test_many_constant_columns_are_one_note(call_json, tmp_path):
    constant = {f"s{i}": 5.0 for i in range(30)}
    transactions(300, seed=9).assign(**constant).to_parquet(tmp_path / "rows.parquet")
    said = call_json("train", "table", "rows.parquet", "--out", "m", "--no-register", *QUICK)
    (told,) = [note for note in said["reading"]["notes"] if "one value only" in note]
    assert told.endswith("where another value is strange: s0 to s29")


def test_times_of_less_than_two_weeks_are_told_and_of_more_are_not(call_json, tmp_path):
    frame = transactions(300, seed=9)
    for name, spread in (("short", 3), ("long", 20)):
        moved = frame["when"] + pd.to_timedelta(np.arange(300) % spread, unit="D")
        frame.assign(when=moved).to_parquet(tmp_path / f"{name}.parquet")
        said = call_json("train", "table", f"{name}.parquet", "--out", name, "--no-register",
                         *QUICK)  # fmt: skip
        told = any(
            "'when' is read without its weekday" in note for note in said["reading"]["notes"]
        )
        assert told == (name == "short")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.head(3), ["3", "10"]),
        (lambda f: f.head(0), []),
        (lambda f: f.assign(amount=f["amount"].where(f.index != 4, np.inf)), ["amount", "inf"]),
    ],
    ids=["three rows", "no rows", "infinite"],
)
def test_unusable_rows_are_refused_and_leave_nothing(call, tmp_path, change, words):
    change(transactions(40, seed=1)).to_parquet(tmp_path / "rows.parquet")
    code, out, err = call("train", "table", "rows.parquet", "--name", "cards", "--out", "m")
    assert (code, out) == (3, "")
    assert err.splitlines()[-1].startswith("Error: ")
    assert all(word in err for word in words), err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def test_empty_file_is_refused_by_name(call, tmp_path):
    (tmp_path / "day.csv").touch()
    code, _, err = call("train", "table", "day.csv", "--name", "cards")
    assert code == 3
    assert "day.csv is empty" in err
    assert [path.name for path in tmp_path.iterdir()] == ["day.csv"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--kind", "amout=numeric", "--name", "n"], "did you mean 'amount'"),
        (["--kind", "amount=number", "--name", "n"], "Kinds: numeric"),
        (["--kind", "amount", "--name", "n"], "COLUMN=KIND"),
        (["--id-column", "nope", "--name", "n"], "nope"),
        (["--groups", "nope", "--name", "n"], "nope"),
        (["--name", "../n"], "name"),
        (["--no-register"], "--out"),
        ([], "--name"),
        (["--target-fpr", "0", "--name", "n"], "--target-fpr"),
    ],
)
def test_wrong_options_are_usage_errors(call, rows, options, words):
    code, out, err = call("train", "table", rows, *options)
    assert (code, out) == (2, "")
    assert words in err


def test_label_that_is_no_column_is_refused(call, rows):
    code, _, err = call("train", "table", rows, "--labels", "onlin", "--name", "n")
    assert code == 3
    assert "did you mean 'online'" in err


def test_a_folder_that_is_no_model_is_not_written_over(call, rows, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"x")
    code, _, err = call("train", "table", rows, "--out", "photos", "--no-register")
    assert code == 2
    assert "photos holds something else than a model" in err
    assert (tmp_path / "photos" / "holiday.jpg").read_bytes() == b"x"


def test_server_that_is_away_is_told_before_the_training(call, rows, tmp_path):
    code, _, err = call("train", "table", rows, "--name", "cards",
                        "--tracking-uri", "http://127.0.0.1:9")  # fmt: skip
    assert code == 69
    assert "does not answer" in err
    assert "train:" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def test_images_are_trained_with_parts_held_out_together(call_json, parts, groups):
    said = call_json("train", "images", parts, "--groups", groups, "--size", 64, "--out", "m",
                     "--no-register", "--preset", "fast")  # fmt: skip
    assert (said["kind"], said["reading"]["n_read"], said["n_held_out"]) == ("image", 16, 16)
    assert "8 groups, each held out as a whole" in said["reading"]["notes"]
    assert load_detector("m").image_size == 64


def test_images_are_told_in_words(call, parts):
    code, out, _ = call("train", "images", parts, "--size", 64, "--out", "m", "--no-register",
                        "--preset", "fast")  # fmt: skip
    assert code == 0
    assert "16 images from" in out
    assert "name the parts with --groups" in out
    assert "vae-anomaly score images m NEW_IMAGES/" in out
    assert "Self-test: synthetic defects found, in 100" in out
    assert "Found at this threshold: holes" in out
    code, out, _ = call("threshold", "show", "m")
    assert "Self-test. Found at this threshold: holes" in out
    code, out, _ = call("threshold", "tune", "m", "--value", 9.0)
    assert "scratches: 0 in 100" in out


def test_products_are_told_by_their_folders(call_json, call, parts):
    for i, path in enumerate(sorted(parts.iterdir())):
        path.rename((parts / "ab"[i % 2]).mkdir(exist_ok=True) or parts / "ab"[i % 2] / path.name)
    options = ("--model", "conditional", "--max-steps", 2, "--out", "m", "--no-register")
    said = call_json("train", "images", parts, *options, "--condition", "folder",
                     "--latent-dim", 8, "--beta", 2)  # fmt: skip
    assert "2 conditions: a, b" in said["reading"]["notes"]
    assert load_detector("m").transform(parts).shape == (16, 8)
    code, _, err = call("train", "images", parts, *options)
    assert (code, "condition='folder'" in err) == (2, True)


def test_the_command_samples_as_many_rows_as_the_job():
    (option,) = (param for param in train.table.params if param.name == "sample_rows")
    assert option.default == SAMPLE_ROWS


def test_every_parameter_of_an_image_detector_is_an_option(call, call_json, parts):
    flags = [parameter.flag for parameter in IMAGE]
    _, out, _ = call("train", "images", "--help")
    assert [flag for flag in flags if f"{flag} " not in out] == []
    call_json("train", "images", parts, "--size", 64, "--out", "m", "--no-register", "--preset",
              "fast", "--channels", 3, "--pose", "fixed")  # fmt: skip
    made = load_detector("m")
    assert (made.channels, made.channels_, made.pose, made.random_state) == (3, 3, "fixed", 0)


def test_images_are_trained_on_the_device_and_in_the_arithmetic_asked_for(call_json, parts):
    chosen = ("--device", "auto", "--precision", "bf16", "--preset", "default", "--max-steps", 2)
    call_json("train", "images", parts, "--size", 64, "--out", "model", "--no-register", *chosen)
    again = load_detector("model")
    assert (again.device, again.precision) == ("cpu", "bf16")


def test_groups_must_name_every_image(parts, groups):
    table = pd.read_csv(groups)
    table.iloc[1:].to_csv(groups, index=False)
    with pytest.raises(DataError, match=r"1 of 16 images, the first is '000.png'"):
        train_images_job(ImageVAEDetector(64), parts, Destination(folder="m"), groups=groups)
    table.rename(columns={"group": "part"}).to_csv(groups, index=False)
    with pytest.raises(SchemaError, match="no column 'group'"):
        train_images_job(ImageVAEDetector(64), parts, Destination(folder="m"), groups=groups)


def test_a_destination_is_somewhere():
    with pytest.raises(ConfigError, match="neither a name nor a folder"):
        Destination().check()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: [path.unlink() for path in folder.iterdir()], "holds no images"),
        (lambda folder: (folder / "000.png").write_text("not an image"), "000.png"),
        (lambda folder: _cut(folder / "000.png"), "000.png"),
        (lambda folder: [path.unlink() for path in sorted(folder.iterdir())[3:]], "at least 8"),
    ],
    ids=["no images", "text named png", "truncated", "three images"],
)
def test_unusable_images_are_refused_by_name_and_leave_nothing(call, parts, tmp_path, spoil, words):
    spoil(parts)
    code, out, err = call("train", "images", parts, "--size", 64, "--name", "p", "--out", "m")
    assert (code, out) == (3, "")
    assert words in err
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]


def _cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def test_contamination_is_told_and_kept(call, rows):
    code, out, _ = call("train", "table", rows, "--out", "model", "--no-register",
                        "--contamination", 0.05, *QUICK)  # fmt: skip
    assert code == 0
    assert "Left out as possible anomalies: 30 training rows" in out
    assert load_detector("model").contamination == 0.05


def test_a_contamination_of_half_is_refused(call, rows):
    code, _, err = call("train", "table", rows, "--out", "model", "--no-register",
                        "--contamination", 0.5)  # fmt: skip
    assert code == 2
    assert "--contamination" in err


def test_large_images_are_trained_on_in_tiles(call, tmp_path):
    (tmp_path / "parts").mkdir()
    for seed in range(10):
        surface(seed).resize((128, 96)).save(tmp_path / "parts" / f"{seed}.png")
    code, out, _ = call("train", "images", tmp_path / "parts", "--out", "model", "--no-register",
                        "--tile-size", 64, "--tile-overlap", 0.5, "--preset", "fast")  # fmt: skip
    assert code == 0
    assert "6 tiles of 64 pixels an image, 60 trained on" in out
    detector = load_detector("model")
    assert (detector.tile_size, detector.tile_overlap, detector.calibration_.n) == (64, 0.5, 10)
    code, _, err = call("train", "images", tmp_path / "parts", "--out", "other", "--no-register",
                        "--tile-size", 112)  # fmt: skip
    assert code == 3
    assert "tile_size of at most 96" in err


def test_a_named_backbone_without_local_weights_is_refused(call, tmp_path):
    tiles = write_surfaces(tmp_path / "tiles", 8, first=0)
    arguments = ("--features", "timm:resnet18", "--out", tmp_path / "m", "--no-register")
    code, out, err = call("train", "images", tiles, "--size", 64, *arguments)
    assert (code, out, "never downloaded" in err) == (2, "", True)
    assert all(way in err for way in ("--download", "--features-weights FILE"))


def test_what_auto_took_and_why_is_printed_and_kept(call, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.delenv("VAE_ANOMALY_BACKBONE", raising=False)
    tiles = write_surfaces(tmp_path / "tiles", 12, first=0)
    code, out, _ = call("train", "images", tiles, "--size", 64, "--preset", "fast", "--features",
                        "auto", "--out", "model", "--no-register")  # fmt: skip
    assert code == 0
    assert "Note: images are seen through the fixed filters: 'auto' found no weights" in out
    kept = load_detector("model")
    assert "timm is not installed" in kept.features_
    assert any("seen through the fixed filters" in note for note in kept.training_["notes"])


def test_parts_that_move_on_a_plain_ground_are_shifted_and_cut_out(call, tmp_path):
    rng = np.random.default_rng(0)
    for i in range(20):
        image = np.full((64, 64), 200, np.uint8)
        y, x = rng.integers(18, 27, 2)
        image[y : y + 20, x : x + 14] = rng.integers(50, 60, (20, 14))
        (tmp_path / "caps").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "caps" / f"{i}.png")
    options = ("--register", "auto", "--foreground", "auto", "--size", 64, "--preset", "fast")
    code, out, _ = call("train", "images", "caps", *options, "--out", "model", "--no-register")
    assert code == 0
    assert "Parts are shifted to one place" in out
    assert "Foreground: " in out
    assert "the rest is ignored" in out


def test_numbers_of_an_office_are_trained_on_and_its_format_is_law(call, tmp_path):
    rng = np.random.default_rng(0)
    amounts = [f"{v:,.2f}".translate(str.maketrans(",.", ".,")) for v in rng.gamma(2, 700, 400)]
    unclear = [f"{v:,}" for v in rng.integers(1000, 9999, 400)]
    table = pd.DataFrame({"betrag": amounts, "menge": unclear, "alter": rng.integers(18, 90, 400)})
    table.to_csv(tmp_path / "tage.csv", sep=";", index=False)
    code, out, _ = call(
        "train", "table", tmp_path / "tage.csv", "--out", "m", "--no-register", *QUICK
    )
    assert code == 0
    assert "written like 1.234,5" in out
    assert "--number-format menge=1,234.5" in out
    night = table.head(40)
    for name, amount in (("short", "1.234"), ("long", "1234,00"), ("other", "12.50")):
        cells = [amount] * 39 + ["12,50" if name == "other" else amount]
        night.assign(betrag=cells).to_csv(f"{name}.csv", sep=";", index=False)
    scores = []
    for name in ("short", "long"):
        assert call("score", "table", "m", f"{name}.csv", "--out", name)[0] == 0
        scores.append(read_results(Path(name))["score"].tolist())
    assert scores[0] == scores[1]
    code, _, err = call("score", "table", "m", "other.csv", "--out", "other")
    assert code != 0
    assert "'12.50' is not written like the column's numbers (1.234,5)" in err


def test_where_most_rows_are_labelled_as_anomalies_that_is_said(call_json, tmp_path):
    frame = transactions(400, seed=9).assign(is_fraud=lambda f: (f.index % 4 > 0).astype(int))
    frame.to_parquet(tmp_path / "rows.parquet")
    said = call_json("train", "table", "rows.parquet", "--labels", "is_fraud", "--out", "m",
                     "--no-register", *QUICK)  # fmt: skip
    assert any(told.startswith("75% of the rows") for told in said["reading"]["warnings"])


def test_a_holdout_belongs_to_a_challenger(call):
    code, _, err = call("train", "images", "tiles/", "--name", "tiles", "--holdout", "may/")
    assert (code, "belong to --challenger" in err) == (2, True)


def test_a_warm_start_from_another_table_is_refused_and_says_what_differs(
    call, table_model, tmp_path
):
    transactions(60, seed=5).drop(columns="online").to_parquet(tmp_path / "rows.parquet")
    code, _, err = call(
        "train", "table", tmp_path / "rows.parquet", "--out", tmp_path / "new", "--no-register",
        "--preset", "fast", "--max-steps", 2, "--warm-start", table_model,
    )  # fmt: skip
    assert (code, "column 'online' is" in err) == (5, True)
    assert not (tmp_path / "new").exists()


def test_what_reviewers_confirmed_trains_no_later_model(call, call_json, registered, rows):
    uri = ("--tracking-uri", registered.store)
    Path("decisions.csv").write_text("item,verdict\nt7-5,confirmed\nt7-6,false alarm\nx,yes\n")
    assert call("feedback", "import", "cards", "decisions.csv", *uri)[0] == 0
    train = ("train", "table", rows, "--name", "cards", "--id-column", "id", *QUICK, *uri)
    code, out, _ = call(*train, "--leave-out-confirmed")
    assert code == 0
    assert "left out: 1 item (t7-5) that reviewers of cards confirmed as anomalies" in out
    assert "1 of 2 confirmed items is not in the input" in out
    _, shown, _ = call("models", "show", "cards", *uri)
    assert "Version 2 was trained without t7-5: confirmed as anomalies by reviewers" in shown
    said = call_json(*train[:3], "--out", "m", "--no-register", "--id-column", "id", *QUICK, *uri,
                     "--leave-out-confirmed", "models:/cards@champion")  # fmt: skip
    assert (said["reading"]["n_confirmed"], said["metrics"]["left_out_confirmed"]) == (1, 1.0)
    assert load_detector("m").left_out_confirmed_ == ("t7-5",)
    code, _, err = call(*train[:3], "--out", "m", "--no-register", *QUICK, "--leave-out-confirmed")
    assert (code, "give it a MODEL" in err) == (2, True)
