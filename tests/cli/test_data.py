"""Looking at data before training, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from vae_anomaly.data.tables.schema import Schema


def test_check_of_good_images_ends_with_the_next_command(call, images):
    code, out, _ = call("data", "check", images)
    assert code == 0
    assert "images: 24" in out
    assert f"vae-anomaly train images {images} --name NAME" in out


def test_check_names_damaged_images_and_is_exit_3(call, images):
    (images / "003.png").write_text("this is text")
    code, out, err = call("data", "check", images)
    assert code == 3
    assert "ERROR" in out
    assert "003.png" in out
    assert "Repair" in err


def test_check_as_json_is_one_document_even_when_it_finds_errors(call, images):
    (images / "003.png").write_text("this is text")
    code, out, _ = call("data", "check", images, "--json")
    assert code == 3
    assert "error" in [found["severity"] for found in json.loads(out)["findings"]]


def test_check_of_a_table_tells_kinds_and_leaks(call, rows):
    frame = pd.read_parquet(rows).assign(fraud=0)
    frame.loc[:30, "fraud"] = 1
    frame["copy"] = frame["fraud"] * 3.5
    frame.to_parquet(rows)
    code, out, _ = call("data", "check", rows, "--labels", "fraud")
    assert code == 0
    assert "amount numeric" in out
    assert "WARNING" in out
    assert "copy" in out


def test_check_of_nothing_is_exit_3(call, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, err = call("data", "check", "empty")
    assert (code, out) == (3, "")
    assert "empty holds neither images nor tables" in err


def german(tmp_path, amounts):
    """Write a CSV of a German office."""
    lines = [f"{amount};{'abc'[i % 3]}" for i, amount in enumerate(amounts)]
    path = tmp_path / "tage.csv"
    path.write_text("\n".join(["betrag;art", *lines]) + "\n", encoding="utf-8")
    return path


def test_check_asks_how_unclear_numbers_are_written_and_takes_the_answer(call, tmp_path):
    path = german(tmp_path, [f"{i % 90 + 1},{i % 800 + 100}" for i in range(1200)])
    _, out, _ = call("data", "check", path)
    assert "WARNING" in out
    assert "--number-format betrag=1,234.5 (1100)" in out
    _, out, _ = call("data", "check", path, "--number-format", "betrag=1.234,5")
    assert "betrag numeric" in out
    assert "--number-format" not in out


def test_schema_keeps_how_cells_are_written(call, tmp_path):
    path = german(tmp_path, ["1.234", "5.678", "-999", "keine"] * 100)
    options = (
        "--number-format",
        "betrag=1.234,5",
        "--missing",
        "betrag=-999",
        "--missing",
        "keine",
    )
    code, out, _ = call("data", "schema", path, *options)
    betrag, art = json.loads(out)["columns"]
    assert code == 0
    assert (betrag["kind"], betrag["number_format"]) == ("numeric", "1.234,5")
    assert (betrag["missing"], art["missing"]) == (["keine", "-999"], ["keine"])


def test_a_format_without_a_column_is_wrong_usage(call, tmp_path):
    code, _, err = call("data", "schema", german(tmp_path, ["1"]), "--number-format", "1.234,5")
    assert code == 2
    assert "'1.234,5' is not COLUMN=FORMAT. Write for example amount=1.234,5" in err


def test_schema_printed_can_be_read_back(call, rows):
    code, out, _ = call("data", "schema", rows, "--labels", "online", "--id-column", "id")
    assert code == 0
    schema = Schema.from_json(out)
    assert (schema.label, schema.id_column) == ("online", "id")
    assert [column.name for column in schema.features] == ["amount", "merchant", "when"]


def test_schema_goes_to_a_file_with_the_next_command(call, rows, tmp_path):
    code, out, _ = call("data", "schema", rows, "--out", "s.json")
    assert code == 0
    assert "train table" in out
    assert Schema.from_json((tmp_path / "s.json").read_text())["merchant"].kind == "categorical"


def test_schema_is_proposed_as_one_table_for_people(call, rows):
    frame = pd.read_parquet(rows).assign(zip=lambda f: f.index % 90 + 10_115, isFraud=0)
    frame.to_parquet(rows)
    _, out, err = call("data", "schema", rows)
    table = {line.split()[0]: line for line in err.splitlines() if line.strip()}
    assert "ignored" in table["zip"]
    assert "postal codes" in table["zip"].partition("place")[2]
    assert "label" in table["isFraud"]
    assert "3 of 7 columns are left out. To keep one: --kind zip=categorical" in err
    assert list(table).index("when") < list(table).index("zip")
    assert {c.name: c.role for c in Schema.from_json(out).columns}["zip"] == "place"
    assert call("data", "schema", rows, "--json")[2] == ""


def test_numbered_columns_share_a_row_and_nothing_left_out_has_no_advice(call, tmp_path):
    values = np.random.default_rng(0).normal(size=(300, 60)).round(3)
    frame = pd.DataFrame(values, columns=[f"V{i}" for i in range(1, 61)])
    frame.assign(flow=1.5 * values[:, 0]).to_csv(tmp_path / "wide.csv", index=False)
    _, _, err = call("data", "schema", "wide.csv")
    assert "V1 to V60" in err
    assert "V17" not in err
    assert "All columns are read. To leave out another: --ignore NAME." in " ".join(err.split())
    _, out, _ = call("data", "check", "wide.csv")
    assert "columns: V1 to V60 numeric, flow numeric" in out


def test_schema_of_a_label_that_is_not_there_names_the_nearest(call, rows):
    code, _, err = call("data", "schema", rows, "--labels", "onlin")
    assert (code, "did you mean 'online'" in err) == (3, True)


def test_column_names_in_brackets_are_printed_as_they_are(call, rows):
    pd.read_parquet(rows).rename(columns={"amount": "[red]"}).to_parquet(rows)
    _, out, _ = call("data", "schema", rows, "--out", "s.json")
    assert "[red]" in out


def test_check_writes_groups_that_training_takes(call, images):
    for place, path in enumerate(sorted(images.glob("*.png"))):
        path.rename(images / f"part_{place // 2:03d}_cam{place % 2}.png")
    code, out, err = call("data", "check", images, "--groups-out", "groups.csv")
    assert code == 0
    assert "File names that seem to number parts" in out
    assert "12 groups of 24 images" in err
    train = ("train", "images", images, "--groups", "groups.csv", "--size", 64)
    code, out, _ = call(*train, "--preset", "fast", "--out", "model", "--no-register")
    assert code == 0
    assert "12 groups, each held out as a whole" in out


def test_check_says_when_there_are_no_groups_to_write(call, images, tmp_path):
    code, _, err = call("data", "check", images, "--groups-out", "groups.csv")
    assert code == 0
    assert "No groups are suggested" in err
    assert not (tmp_path / "groups.csv").exists()


def test_schema_says_of_several_tables_what_a_training_would(call, rows, tmp_path):
    other = tmp_path / "more" / "rows.csv"
    other.parent.mkdir()
    pd.read_parquet(rows).assign(amount="x").to_csv(other, index=False)
    code, out, _ = call(
        "data", "schema", rows, other.parent, "--ignore", "merchant",
        "--kind", "amount=categorical", "--groups", "id", "--out", "s.json",
    )  # fmt: skip
    assert code == 0
    kinds = {c.name: c.kind.value for c in Schema.from_json(Path("s.json").read_text()).columns}
    assert (kinds["merchant"], kinds["amount"], kinds["id"]) == (
        "ignored", "categorical", "identifier",
    )  # fmt: skip
    assert f"train table {rows} {other.parent} --groups id --schema s.json --name NAME" in out


def test_a_table_without_a_header_is_noticed(call, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("".join(f"{i},{i * 7 % 13}.5,shop {i % 3}\n" for i in range(7, 80)))
    code, out, _ = call("data", "check", path)
    assert "first line looks like a row" in out
    assert call("data", "schema", path)[0] == code == 0


def test_how_times_are_written_can_be_said(call, tmp_path):
    days = tmp_path / "days.csv"
    days.write_text("at,x\n" + "".join(f"0{k % 9 + 1}/04/2024,{k % 7}.5\n" for k in range(60)))
    _, out, _ = call("data", "schema", days, "--time-format", "at=month_first", "--json")
    assert json.loads(out)["columns"][0]["time_format"] == "month_first"
    assert "ambiguous_dates" in call("data", "check", days, "--json")[1]
    settled = call("data", "check", days, "--time-format", "at=day_first", "--json")
    assert "ambiguous_dates" not in settled[1]
    for wrong in ("at", "at=dmy", "when=iso"):
        code, _, err = call("data", "schema", days, "--time-format", wrong)
        assert (code, repr(wrong.partition("=")[0])[1:-1] in err) == (2, True)
