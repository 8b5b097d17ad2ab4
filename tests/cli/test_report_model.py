"""The page and the card of a model on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from click.testing import CliRunner

from vae_anomaly.cli.group import cli

OLD = Path(__file__).parents[1] / "golden" / "2026-11" / "table_mixed" / "model"


def run(*words: str):
    return CliRunner().invoke(cli, list(words))


def test_the_page_of_a_folder_lies_beside_it_and_the_folder_stays_a_model(tmp_path):
    folder = tmp_path / "cards"
    shutil.copytree(OLD, folder)
    result = run("report", str(folder))
    assert result.exit_code == 0, result.output
    assert (
        (tmp_path / "cards-report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    )
    assert run("models", "verify", str(folder)).exit_code == 0


def test_options_of_a_night_are_refused_for_a_model():
    result = run("report", str(OLD), "--verdicts", "x.csv")
    assert result.exit_code == 2
    assert "belongs to the page of a night" in result.output


def test_the_card_is_printed_or_written(tmp_path):
    assert "# Model card for model" in run("models", "card", str(OLD)).output
    target = tmp_path / "card.md"
    told = json.loads(run("models", "card", str(OLD), "--out", str(target), "--json").stdout)
    assert told["card"] == str(target)
    assert "## Evaluation" in target.read_text(encoding="utf-8")
