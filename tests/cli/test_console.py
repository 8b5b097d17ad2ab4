"""One document of JSON on stdout, whatever else is printed."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest

from vae_anomaly.cli.console import emit, results_only

CHATTY = """
import os, subprocess, sys
from vae_anomaly.cli.console import emit, results_only
with results_only(True):
    print("a library prints")
    os.write(1, b"so does its C code\\n")
    subprocess.run([sys.executable, "-c", "print('and a process')"])
    emit({"street": "Straße"}, as_json=True)
print("after it")
"""


def test_all_that_is_printed_beside_the_document_goes_to_stderr():
    done = subprocess.run(
        [sys.executable, "-c", CHATTY], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    document, _, rest = done.stdout.partition("\n}\n")
    assert json.loads(document + "}") == {"street": "Straße"}
    assert rest == "after it\n"
    for words in ("a library prints", "so does its C code", "and a process"):
        assert words in done.stderr


def test_text_is_printed_where_no_document_is_wanted(capsys):
    with results_only(False):
        click.echo("as ever")
    assert capsys.readouterr().out == "as ever\n"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (np.float32("nan"), None),
        (np.float64(1.5), 1.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([1.0, np.nan]), [1.0, None]),
        (pd.NaT, None),
        (pd.Timestamp("2026-01-02"), "2026-01-02T00:00:00"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (Path("a/b"), "a/b"),
        ((1, {"x": {2.0}}), [1, {"x": [2.0]}]),
    ],
    ids=repr,
)
def test_every_value_is_strict_json(capsys, value, plain):
    with results_only(True):
        emit({"value": value, 7: "a key"}, as_json=True)
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "value": plain,
        "7": "a key",
    }
