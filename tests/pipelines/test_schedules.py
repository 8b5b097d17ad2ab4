"""Schedules start jobs that exist, with files that are read, and say what the docs say."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import pipelines
from pipelines.job import read_job
from pipelines.nightly_images import NightlyImages
from pipelines.nightly_transactions import NightlyTransactions

PIPELINES = Path(pipelines.__file__).parent
SCHEDULES = PIPELINES / "schedules"
ANALYZE = shutil.which("systemd-analyze")
NIGHTLY = {"nightly_images": NightlyImages, "nightly_transactions": NightlyTransactions}


def cron_lines() -> list[str]:
    lines = (SCHEDULES / "crontab").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if re.match(r"[\d*]", line)]


def test_cron_starts_both_nights_with_files_that_are_read():
    jobs = []
    for line in cron_lines():
        minute, hour, *others, command = line.split(None, 5)
        assert (int(minute) < 60, int(hour) < 24, others) == (True, True, ["*"] * 3)
        module, file = re.findall(r"-m pipelines\.(\w+) \$JOBS/(\w+)\.toml", command)[0]
        assert module == file
        jobs.append(module)
        assert "%" not in command.replace(r"\%", ""), "cron ends a command at a bare %"
    assert sorted(jobs) == sorted(NIGHTLY)
    for job, kind in NIGHTLY.items():
        assert find_spec(f"pipelines.{job}")
        read_job(kind, PIPELINES / f"{job}.toml", "2026-03-27")


@pytest.mark.parametrize("printed", ["", "result"])
def test_a_job_that_fails_makes_cron_say_its_exit_code(printed, tmp_path):
    """What a night prints goes to a file; only a failure is left for cron's mail."""
    job = tmp_path / "job"
    job.write_text(f"#!/bin/bash\necho {printed}\nexit {4 if printed else 0}\n")
    job.chmod(0o755)
    for line in cron_lines():
        command = line.split(None, 5)[-1].replace(r"\%", "%")
        values = {**os.environ, "PYTHON": str(job), "JOBS": "jobs", "LOG": str(tmp_path)}
        done = subprocess.run(
            [str(shutil.which("bash")), "-c", command],
            env=values,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ("exit code 4" in done.stdout) is bool(printed)


@pytest.mark.skipif(not ANALYZE, reason="needs systemd-analyze")
@pytest.mark.parametrize("job", NIGHTLY)
def test_systemd_takes_the_units(job, tmp_path):
    for unit in ("service", "timer"):
        text = (SCHEDULES / f"vae-anomaly@.{unit}").read_text(encoding="utf-8")
        here = text.replace("/opt/vae-anomaly/.venv/bin/python", sys.executable)
        (tmp_path / f"vae-anomaly@{job}.{unit}").write_text(here)
    units = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(
        [str(ANALYZE), "verify", *units], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "vae-anomaly" in line]
    assert (ours, done.returncode) == ([], 0)


def test_what_systemd_and_airflow_do_not_try_again_is_what_a_person_must_look_at():
    documented = Path(__file__).parents[2] / "docs" / "operations.md"
    text = (SCHEDULES / "vae-anomaly@.service").read_text(encoding="utf-8")
    prevented = {int(c) for c in re.findall(r"(?m)^RestartPreventExitStatus=(.*)", text)[0].split()}
    tree = ast.parse((SCHEDULES / "airflow_nights.py").read_text(encoding="utf-8"))
    hopeless = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "HOPELESS"
    )
    assert hopeless == prevented
    codes = {int(c) for c in re.findall(r"(?m)^\| (\d+) \|", documented.read_text("utf-8"))}
    assert prevented <= codes
    assert codes - prevented >= {69, 75}


def test_the_container_runs_as_nobody_in_particular_and_keeps_all_below_one_folder():
    text = (SCHEDULES / "Dockerfile").read_text(encoding="utf-8")
    last = text.split("\nFROM ")[-1]
    assert re.search(r"(?m)^USER [1-9]\d*$", last)
    assert 'ENTRYPOINT ["vae-anomaly"]' in last
    assert re.findall(r"(?m)^VOLUME (.*)$", last) == ["/data"]
    assert {"HOME=/data", "XDG_CACHE_HOME=/data/.cache"} <= set(last.split())
