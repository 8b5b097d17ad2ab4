"""Threads fit the cores that a process may use, sleep while they wait, and change no score."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from vae_anomaly import threads
from vae_anomaly.errors import ConfigError
from vae_anomaly.threads import (
    NUMBER_VARIABLE,
    WAIT_VARIABLES,
    allowed_cores,
    ask_threads,
    default_threads,
    thread_policy,
    threads_of_a_worker,
)


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch):
    for name in (NUMBER_VARIABLE, *WAIT_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cores(monkeypatch):
    """Let this process have so many cores, and so much of them."""

    def have(affinity, *quotas):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
        monkeypatch.setattr(threads, "_groups", lambda: quotas)
        monkeypatch.setattr(threads, "_quota", lambda quota: quota)

    return have


@pytest.mark.parametrize(
    ("affinity", "quotas", "allowed", "default"),
    [(1, (), 1, 1), (2, (), 2, 1), (16, (), 16, 8), (64, (), 64, 8), (64, (None, 4.0), 4, 2),
     (64, (0.5,), 1, 1), (4, (32.0, None), 4, 2), (8, (2.9, 6.0), 2, 1)],
)  # fmt: skip
def test_half_of_the_cores_that_are_allowed_are_taken(cores, affinity, quotas, allowed, default):
    cores(affinity, *quotas)
    assert (allowed_cores(), default_threads()) == (allowed, default)


@pytest.mark.parametrize("content", ["max 100000", "150000 100000", "50000 100000"])
def test_the_quota_of_a_control_group_is_read(tmp_path, content):
    (tmp_path / "cpu.max").write_text(f"{content}\n")
    known = {"max 100000": None, "150000 100000": 1.5, "50000 100000": 0.5}
    assert threads._quota(tmp_path) == known[content]
    assert threads._quota(tmp_path / "none") is None


@pytest.mark.parametrize("workers", [1, 2, 3, 8, 50])
@pytest.mark.parametrize("asked", [None, "1", "4", "64", "4,2", "many"])
def test_workers_times_threads_fit_the_cores(cores, monkeypatch, workers, asked):
    cores(8)
    if asked:
        monkeypatch.setenv(NUMBER_VARIABLE, asked)
    each = threads_of_a_worker(workers)
    assert each >= 1
    assert each * workers <= max(8, workers)
    if asked == "1":
        assert each == 1


def test_the_policy_holds_inside_and_leaves_everything_as_it_was(cores):
    import torch

    cores(8)
    before = torch.get_num_threads()
    with thread_policy():
        assert os.environ[NUMBER_VARIABLE] == "4"
        assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
        assert torch.get_num_threads() == before
    with thread_policy(before + 1):
        assert torch.get_num_threads() == before + 1
        assert os.environ[NUMBER_VARIABLE] == str(before + 1)
    assert torch.get_num_threads() == before
    assert not {NUMBER_VARIABLE, *WAIT_VARIABLES} & os.environ.keys()


def test_what_the_user_has_set_counts(monkeypatch, cores):
    cores(8)
    monkeypatch.setenv(NUMBER_VARIABLE, "3")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    with thread_policy():
        assert (os.environ[NUMBER_VARIABLE], os.environ["OMP_WAIT_POLICY"]) == ("3", "ACTIVE")


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", True])
def test_a_number_of_threads_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match="whole number from 1"):
        ask_threads(wrong)


def ran(code: str, **variables: str) -> dict[str, object]:
    environment = {
        k: v for k, v in os.environ.items() if k not in (NUMBER_VARIABLE, *WAIT_VARIABLES)
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, **variables}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def test_importing_the_package_and_torch_through_it_sets_nothing():
    code = (
        "import os, json, vae_anomaly; vae_anomaly.ImageVAEDetector;"
        "print(json.dumps({k: v for k, v in os.environ.items() if 'OMP' in k}))"
    )
    assert ran(code) == {}


COMMAND = (
    "import json, os, sys, click\n"
    "from vae_anomaly.cli import group\n"
    "from vae_anomaly.cli.options import threads_option\n"
    "@click.command()\n"
    "@threads_option\n"
    "def probe():\n"
    "    import torch\n"
    "    kept = {k: os.environ[k] for k in ('OMP_WAIT_POLICY', 'KMP_BLOCKTIME')}\n"
    "    print(json.dumps({'threads': torch.get_num_threads(), **kept}))\n"
    "group.cli.add_command(probe); group.COMMANDS.clear()\n"
    "group.LazyGroup.get_command = lambda self, ctx, name: probe\n"
    "group.main(['probe', *sys.argv[1:]] + %r)\n"
)


def test_commands_set_threads_and_waiting_before_torch_is_loaded():
    assert ran(COMMAND.replace("%r", "['--threads', '2']")) == {
        "threads": 2, "OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0",
    }  # fmt: skip
    assert ran(COMMAND.replace("%r", "[]"), OMP_NUM_THREADS="1", OMP_WAIT_POLICY="ACTIVE") == {
        "threads": 1, "OMP_WAIT_POLICY": "ACTIVE", "KMP_BLOCKTIME": "0",
    }  # fmt: skip


def test_scores_do_not_depend_on_the_threads():
    import numpy as np

    from vae_anomaly import ImageVAEDetector

    images = np.random.default_rng(0).integers(90, 110, (30, 64, 64), dtype=np.uint8)
    said = []
    for n in (1, 2):
        with thread_policy(n):
            detector = ImageVAEDetector(64, preset="default", max_steps=5, random_state=0)
            detector.fit(images[:24])
            said.append(detector.examine(images).raw_score)
    np.testing.assert_allclose(said[0], said[1], atol=1e-4, rtol=1e-4)
