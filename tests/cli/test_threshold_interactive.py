"""``threshold tune --interactive`` in a terminal, and where there is none."""

from __future__ import annotations

import json
import os
import pty
import threading
from pathlib import Path

import pytest
from cli.evaluation_fixtures import *  # noqa: F403 - fixtures

from vae_anomaly.cli import main
from vae_anomaly.cli.threshold.interactive import keys_of


@pytest.mark.parametrize(
    ("read", "keys"),
    [
        ("\x1b[A", ["up"]),
        ("\x1bOB", ["down"]),
        ("\x1b[C\x1b[C", ["right", "right"]),
        ("2%\r", ["2", "%", "enter"]),
        ("\x7f", ["backspace"]),
        ("\x1b", ["escape"]),
        ("\x1b[5~", ["unknown"]),
    ],
)
def test_what_a_terminal_sends_is_named(read, keys):
    assert keys_of(read) == keys


def test_without_a_terminal_it_is_refused_with_the_remedy(call, table_model):
    code, out, err = call("threshold", "tune", table_model, "--interactive")
    assert (code, out) == (2, "")
    assert "needs a terminal" in err
    assert "--target-fpr" in err


def in_terminal(monkeypatch, args: list[str], keys: list[bytes]) -> tuple[int, str]:
    """Run a command in a terminal of its own; press each key until the screen answers."""
    master, slave = pty.openpty()
    shown: list[bytes] = []
    done = threading.Event()

    def read() -> None:
        """Read to the end: all that was shown comes before the sign that the terminal is closed."""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                return
            if not part:
                return
            shown.append(part)

    def type_keys() -> None:
        for key in keys:
            while not shown and not done.wait(0.05):
                pass
            done.wait(0.3)
            before = len(shown)
            while len(shown) == before and not done.is_set():
                os.write(master, key)
                done.wait(0.3)

    threads = [threading.Thread(target=job, daemon=True) for job in (read, type_keys)]
    with os.fdopen(slave, "r+b", buffering=0) as terminal:
        stdin = os.fdopen(os.dup(terminal.fileno()), "r")
        stderr = os.fdopen(os.dup(terminal.fileno()), "w")
        with stdin, stderr, monkeypatch.context() as patch:
            patch.setattr("sys.stdin", stdin)
            patch.setattr("sys.stderr", stderr)
            for thread in threads:
                thread.start()
            with pytest.raises(SystemExit) as stop:
                main(args)
            done.set()
            threads[1].join(5)
    threads[0].join(5)
    os.close(master)
    return int(stop.value.code or 0), b"".join(shown).decode(errors="replace")


def test_keys_move_the_threshold_and_enter_keeps_it(
    monkeypatch, tmp_path, table_model, own_cache, capsys
):
    monkeypatch.chdir(tmp_path)
    args = ["threshold", "tune", str(table_model), "--target-fpr", "0.2", "--interactive"]
    code, screen = in_terminal(monkeypatch, args, [b"\x1b[A", b"\r"])
    kept = json.loads(Path("threshold.json").read_text())
    assert (code, kept["policy"]) == (0, "manual")
    assert "FPR" in screen
    assert "at first (fpr 0.2)" in screen
    assert kept["expected_fpr"]["estimate"] < 0.2
    assert "> manual" in capsys.readouterr().out


def test_q_leaves_and_writes_nothing(monkeypatch, tmp_path, table_model, own_cache):
    monkeypatch.chdir(tmp_path)
    args = ["threshold", "tune", str(table_model), "--target-fpr", "0.2", "--interactive"]
    code, screen = in_terminal(monkeypatch, args, [b"\x1b[B", b"q"])
    assert code == 0
    assert "nothing was written" in screen
    assert not Path("threshold.json").exists()
