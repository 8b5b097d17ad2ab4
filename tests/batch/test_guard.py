"""Scripts that start workers are told to guard what they do, before anything is done."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vae_anomaly.batch import score_tables
from vae_anomaly.batch.guard import require_guard

CALL = "score_tables({model!r}, {days!r}, {out!r}, workers=2)"
UNGUARDED = "from vae_anomaly.batch import score_tables\n" + CALL + "\n"
GUARDED = (
    "from vae_anomaly.batch import score_tables\n"
    "def main():\n    " + CALL + "\n"
    'if __name__ == "__main__":\n    main()\n'
)


def run(tmp_path, text, **places):
    script = tmp_path / "night.py"
    script.write_text(text.format(**{name: str(place) for name, place in places.items()}))
    return subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)


def test_an_unguarded_script_is_told_how_to_guard_it(tmp_path, days, table_model):
    done = run(tmp_path, UNGUARDED, model=table_model, days=days, out=tmp_path / "out")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "night.py starts 2 workers, and each of them runs the script again" in last
    assert 'if __name__ == "__main__":' in last
    assert "freeze_support" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_workers_of_a_guarded_script_write_the_bytes_of_one_process(
    tmp_path, days, table_model, hashes
):
    done = run(tmp_path, GUARDED, model=table_model, days=days, out=tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    score_tables(table_model, days, tmp_path / "one")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "one")
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_a_worker_that_is_importing_the_script_starts_no_others(monkeypatch):
    import multiprocessing

    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(Exception, match="each of them runs the script again"):
        require_guard(4)
