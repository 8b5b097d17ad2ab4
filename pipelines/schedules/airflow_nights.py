"""Both nights as a DAG of Apache Airflow 3; copy it into the folder of DAGs.

Each task is the command that cron would run, on the data of the run's own day, so Airflow's
backfill scores days of the past: ``airflow backfill create --dag-id vae_anomaly_nights --from-date
2026-03-01 --to-date 2026-03-31``. Days that are done and unchanged cost seconds.
"""

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timedelta

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException

PYTHON = os.environ.get("VAE_ANOMALY_PYTHON", "/opt/vae-anomaly/.venv/bin/python")
JOBS = os.environ.get("VAE_ANOMALY_JOBS", "/opt/vae-anomaly/pipelines")
HOPELESS = {1, 2, 3, 4, 5, 6, 74}
"""Exit codes that a person must look at; others, such as 69 (the registry is away) and 75 (another
run is at it), are tried again. See docs/operations.md."""


def score(job: str, day: str) -> None:
    """Score one day as the command line would; what it prints is in the task's log."""
    command = [PYTHON, "-m", f"pipelines.{job}", f"{JOBS}/{job}.toml", day]
    code = subprocess.run(command, check=False).returncode  # noqa: S603 - our own command
    if code in HOPELESS:
        raise AirflowFailException(f"{job} of {day} ended with exit code {code}; see the log above")
    if code:
        raise RuntimeError(f"{job} of {day} ended with exit code {code}; it is tried again")


with DAG(
    "vae_anomaly_nights",
    description="Score the night's part images and the day's transactions",
    schedule="30 4 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=6),
    },
    tags=["anomaly detection"],
):
    for name in ("nightly_images", "nightly_transactions"):
        task(task_id=name)(score)(name, "{{ ds }}")
