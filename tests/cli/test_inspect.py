"""One item explained: words, reasons, contributions that add up, regions and a card."""

from __future__ import annotations

import pytest
from cli.evaluation_fixtures import *  # noqa: F403 - fixtures
from cli.evaluation_fixtures import labelled_transactions, write_labelled_surfaces
from PIL import Image


@pytest.fixture
def rows(tmp_path):
    labelled_transactions().to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def test_a_row_is_explained_and_its_parts_add_up(call_json, table_model, rows):
    (item,) = call_json("inspect", table_model, f"{rows}:150")["items"]
    assert item["is_anomaly"]
    assert "amount" in item["reasons"][0]
    assert sum(item["contributions"].values()) == pytest.approx(item["evidence"]["fused"], rel=1e-6)
    assert item["id"] == "rows.csv:150"


def test_row_option_and_colon_name_the_same_row(call_json, table_model, rows):
    one = call_json("inspect", table_model, rows, "--row", 7)
    other = call_json("inspect", table_model, f"{rows}:7")
    assert one == other


def test_rows_beside_a_ragged_line_keep_their_numbers(call, call_json, table_model, rows):
    whole = call_json("inspect", table_model, f"{rows}:150")
    lines = rows.read_text().splitlines()
    lines[20] += ",more"
    rows.write_text("\n".join(lines) + "\n")
    assert call_json("inspect", table_model, f"{rows}:150") == whole
    code, _, err = call("inspect", table_model, f"{rows}:20")
    assert code == 3
    assert "rows.csv, line 21: row 20 has" in err


def test_a_table_alone_shows_its_strangest_rows(call, table_model, rows):
    code, out, _ = call("inspect", table_model, rows, "--top", 2)
    assert code == 0
    assert out.count("ANOMALY") == 2
    assert "nats by column: amount" in out


def test_a_image_gets_regions_and_a_card(call_json, image_model, tmp_path):
    write_labelled_surfaces(tmp_path / "tiles", 1, 1)
    said = call_json(
        "inspect", image_model, "tiles/test/hole/000.png", "tiles/test/good/000.png", "--out", "why"
    )
    hole, good = said["items"]
    assert hole["is_anomaly"]
    assert hole["anomaly_score"] > good["anomaly_score"]
    box = hole["regions"][0]
    assert box["left"] < 42
    assert box["right"] > 20
    with Image.open(tmp_path / hole["image"]) as card:
        assert card.size[0] > 800


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (("rows.csv:151",), 3, "150 rows; got row 151"),
        (("rows.csv", "--id", "nobody"), (2, 3), "id"),
        (("absent.csv",), 3, "absent.csv"),
    ],
    ids=["row", "id", "file"],
)
def test_what_is_not_there_is_named(call, table_model, rows, args, code, told):
    found, _, err = call("inspect", table_model, *args)
    assert found in (code if isinstance(code, tuple) else (code,))
    assert told in err


def test_a_row_of_a_image_is_refused(call, image_model):
    assert call("inspect", image_model, "a.png", "--row", 1)[0] == 2


def test_a_row_is_written_as_a_page(call_json, table_model, rows, tmp_path):
    said = call_json("inspect", table_model, f"{rows}:150", f"{rows}:3", "--html", "why.html")
    page = (tmp_path / "why.html").read_text(encoding="utf-8")
    assert said["page"] == "why.html"
    assert ">1 of 2 items flagged</h1>" in page
    assert all(reason in page for reason in said["items"][0]["reasons"])
    assert '"contributions":[{"column":"amount"' in page


def test_an_image_is_written_as_a_page_with_its_map(call_json, image_model, tmp_path):
    write_labelled_surfaces(tmp_path / "tiles", 1, 1)
    said = call_json("inspect", image_model, "tiles/test/hole/000.png", "--html", "why.html")
    page = (tmp_path / "why.html").read_text(encoding="utf-8")
    assert ">Anomaly</h1>" in page
    assert said["items"][0]["words"][1:] in page
    assert '"regions":[{"left":' in page
    assert '"thumbnail":"UklGR' in page
