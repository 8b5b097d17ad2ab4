"""The life of a model on a server, as its owner lives it: trained, used, moved, cut off, back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tracking.live_server import LiveServer
from tracking.real_models import transactions

from vae_anomaly.batch import read_results
from vae_anomaly.tracking import apply, show_model
from vae_anomaly.tracking.nights import NIGHTS

Said = tuple[int, str, str]


def live(
    server: LiveServer, say: Callable[..., Said], home: Path, patch: pytest.MonkeyPatch
) -> None:
    """Go through all of it; ``say`` runs a command and returns (exit code, stdout, stderr)."""
    patch.setenv("MLFLOW_TRACKING_URI", server.url)
    patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # a call that is sent twice registers twice
    for name, seed in (("march", 1), ("april", 2), ("may", 3)):
        transactions(300, seed).to_parquet(home / f"{name}.parquet")
    trained_and_used(say, home)
    calibrated_anew_and_promoted(say, home)
    nothing_is_lost_while_it_is_away(server, say, home, patch)
    held = sorted(path for path in server.home.rglob("*") if path.is_file())
    assert any(path.name == "weights.safetensors" for path in held), "artifacts went elsewhere"


def trained_and_used(say: Callable[..., Said], home: Path) -> None:
    """Train and register, score by the alias, and find the night among the runs."""
    code, _, err = say(
        "train", "table", home / "march.parquet", "--name", "payments", "--preset", "fast",
        "--max-steps", 10, "--seed", 0, "--no-report",
    )  # fmt: skip
    assert code == 0, err
    code, _, err = say(
        "score",
        "table",
        "models:/payments@champion",
        home / "april.parquet",
        "--out",
        home / "april",
    )
    assert code == 0, err
    assert set(read_results(home / "april")["model_version"]) == {"payments/1"}
    assert nights() == 1


def calibrated_anew_and_promoted(say: Callable[..., Said], home: Path) -> None:
    """A new version with its history, whose files come over HTTP and are those registered."""
    code, _, err = say(
        "models", "recalibrate", "models:/payments@champion", "--input", home / "april.parquet",
        "--reason", "spring",
    )  # fmt: skip
    assert code == 0, err
    assert show_model("payments").aliases == {"champion": 1}
    code, _, err = say("models", "promote", "payments", 2, "--evidence", "looked at")
    assert code == 0, err
    assert say("models", "verify", "models:/payments@champion")[0] == 0
    told = promoted_as_json()
    assert (told["alias"], told["new_version"]) == ("challenger", 1)
    card = show_model("payments")
    assert card.aliases == {"challenger": 1, "champion": 2}
    assert "calibrated anew from payments/1" in card.versions[0].description


def nothing_is_lost_while_it_is_away(
    server: LiveServer, say: Callable[..., Said], home: Path, patch: pytest.MonkeyPatch
) -> None:
    """Killed between two calls: exit code 69, and what was to be logged is sent later."""
    register = apply.register_directory

    def cut_off(*args: object, **kwargs: object) -> object:
        server.kill()
        return register(*args, **kwargs)

    again = ("models", "recalibrate", "models:/payments@champion", "--input", home / "may.parquet")
    with patch.context() as patched:
        patched.setattr(apply, "register_directory", cut_off)
        code, _, err = say(*again)
    assert (code, "Nothing is lost" in err) == (69, True)
    assert say(*again)[0] == 69, "the model itself cannot be asked for"
    code, _, err = say(
        "score", "table", "models:/payments@champion", home / "may.parquet", "--out", home / "may",
        "--cached",
    )  # fmt: skip
    assert code == 0, err
    waiting = list((Path("vae-anomaly-store") / "spool").iterdir())
    assert len(waiting) == 2, "the new version and the night"
    server.start()
    code, out, err = say("runs", "sync")
    assert code == 0, err
    assert all(record.name in out for record in waiting)
    assert not any(record.exists() for record in waiting)
    card = show_model("payments")
    assert [one.version for one in card.versions] == [3, 2, 1]
    assert "calibrated anew from payments/2" in card.versions[0].description
    assert nights() == 2


def promoted_as_json() -> dict[str, object]:
    """Return what `models promote --json` prints with MLflow at its most talkative."""
    line = ["models", "promote", "payments", "1", "--alias", "challenger", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", "from vae_anomaly.cli import main; main()", *line],
        env={**os.environ, "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "false"},
        capture_output=True,
        check=True,
    )
    assert b"View run" in done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


def nights() -> int:
    """Count the finished runs of nights on the server."""
    from mlflow import MlflowClient

    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(NIGHTS)
    runs = client.search_runs([experiment.experiment_id])
    return sum(run.info.status == "FINISHED" for run in runs)
