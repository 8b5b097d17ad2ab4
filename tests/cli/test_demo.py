"""The demo ends with the pages that it left, and with what to try next."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from vae_anomaly.cli import cli
from vae_anomaly.jobs import demo
from vae_anomaly.jobs.demo import DemoReport, NightResult


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DemoReport:
    """Stand in for the demo, which takes minutes, with what it would return."""
    folder = tmp_path / "my demo"
    report = DemoReport(
        nights=(NightResult("surface images", 120, 36, 60, 35, 1, 0, 4.2),),
        folder=folder,
        store="sqlite:///store/mlflow.db",
        models={"images": demo.SURFACES, "transactions": demo.CARDS},
        thresholds={"transactions": 2.29},
        top_flag={"id": "7", "score": 3.8, "reasons": "amount 7,892"},
        pages={"the night's images": f"{folder}/flags/images/report.html"},
        seconds=101.0,
    )
    monkeypatch.setattr(demo, "run_demo", lambda *_, **__: report)
    return report


def test_the_last_lines_name_the_pages_to_open(made: DemoReport) -> None:
    said = CliRunner().invoke(cli, ["demo"]).stdout.splitlines()
    assert said[-2:] == [
        "Open these in a browser:",
        "  the night's images   " + next(iter(made.pages.values())),
    ]


def test_the_command_to_try_next_can_be_typed_whatever_the_folder_is_called(
    made: DemoReport,
) -> None:
    said = CliRunner().invoke(cli, ["demo"]).stdout
    assert (
        f"'{made.folder}'/images/test/scratch/*.png --html '{made.folder}/scratches.html'" in said
    )
