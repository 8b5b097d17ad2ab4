"""A reader of stdout or stderr that leaves early ends no job, and fails none that is done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

JOB = """
import sys
from pathlib import Path

import click

from vae_anomaly.cli import group
from vae_anomaly.cli.console import emit

@group.cli.command("job")
@click.option("--json", "as_json", is_flag=True)
def job(as_json):
    if not emit({"rows": list(range(40_000))}, as_json=as_json):
        for number in range(40_000):
            click.echo(f"row {number}")
    click.echo("progress " * 9_000, err=True)
    Path("done").touch()

group.COMMANDS["job"] = ("none:job", "")
group.LazyGroup.get_command = lambda self, ctx, name: self.commands.get(name)
group.main(sys.argv[1:])
"""


def run_job(folder: Path, *args: str, **streams: object) -> int:
    """Run a job that prints much; return its exit code once its work is seen to be done."""
    line = [sys.executable, "-c", JOB, "job", *args]
    with subprocess.Popen(line, cwd=folder, **streams) as process:
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.read(4)
            pipe.close()
    assert (folder / "done").exists()
    return process.returncode


@pytest.mark.parametrize("args", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("both", [False, True], ids=["stdout", "stdout and stderr"])
def test_a_reader_that_leaves_early_fails_no_job(tmp_path, args, both):
    stderr = subprocess.STDOUT if both else subprocess.DEVNULL
    assert run_job(tmp_path, *args, stdout=subprocess.PIPE, stderr=stderr) == 0


def test_a_sign_that_the_terminal_does_not_have_is_no_error(tmp_path):
    line = [sys.executable, "-c", JOB.replace("row {number}", "{number} €"), "job"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert done.stdout.startswith(b"0 \\u20ac")


@pytest.mark.skipif(os.name != "posix", reason="descriptors are closed by the shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_job_without_stdout_or_stderr_is_done_all_the_same(tmp_path, closed):
    line = f'"$0" -c "$1" job {closed}'
    done = subprocess.run(["/bin/sh", "-c", line, sys.executable, JOB], cwd=tmp_path, check=False)
    assert (done.returncode, (tmp_path / "done").exists()) == (0, True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_result_that_finds_no_room_is_one_line_and_exit_code_74(tmp_path):
    with Path("/dev/full").open("w") as full:
        line = [sys.executable, "-c", JOB, "job"]
        done = subprocess.run(
            line, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 74
    assert done.stderr.startswith("Error: The results cannot be written to stdout: No space left")
    assert "Traceback" not in done.stderr
