"""A record on the local disk until MLflow has it: an outage loses neither a training nor a sweep.

A record is a folder below ``spool/`` in the store's folder, or in ``vae-anomaly-store/`` where the
store is elsewhere. It is written before the server is asked for anything, and removed when all of
it was sent. Which of its runs an outage cut off stands in ``interrupted.json``; they are closed
when it is sent again. Whose it is while it is made and sent for the first time stands in
``.owner``: nobody else sends it then.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vae_anomaly.errors import RegistryUnavailableError, StorageError, VaeAnomalyError
from vae_anomaly.files import write_json
from vae_anomaly.names import typed
from vae_anomaly.tracking.client import close_runs
from vae_anomaly.tracking.network.answers import is_outage
from vae_anomaly.tracking.store import DEFAULT_STORE, displayed, session, store_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

INTERRUPTED = "interrupted.json"
OWNER = ".owner"
Sent = TypeVar("Sent")
logger = logging.getLogger(__name__)


@dataclass
class Upload:
    """The sending of a record: MLflow's client, and its runs, now and when it was cut off."""

    client: MlflowClient
    record: Path
    opened: list[str] = field(default_factory=list)
    earlier: tuple[str, ...] = ()

    def open_run(
        self, experiment: str, name: str, tags: Mapping[str, str], start_ms: int | None = None
    ) -> str:
        """Open a run, write down that it is open, and return its id."""
        run = self.client.create_run(
            experiment, start_time=start_ms, tags=dict(tags), run_name=name
        )
        self.opened.append(str(run.info.run_id))
        write_json(self.opened, self.record / INTERRUPTED)
        return self.opened[-1]


@contextmanager
def new_record(store: str, name: str) -> Iterator[Path]:
    """Yield a folder for a record, which the block writes whole; else nothing of it stays."""
    spool = spool_folder(store)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    try:
        spool.mkdir(parents=True, exist_ok=True)
        record = Path(tempfile.mkdtemp(prefix=f"{name.replace(' ', '_')}-{stamp}-", dir=spool))
        (record / OWNER).write_text(_this_process(), encoding="utf-8")
        try:
            yield record
        except BaseException:
            shutil.rmtree(record, ignore_errors=True)
            raise
    except VaeAnomalyError:
        raise
    except OSError as err:
        raise StorageError(
            f"What goes to MLflow cannot be written in {spool} first: {err.strerror or err}. Free "
            "some space or choose another --tracking-uri."
        ) from err


def send(record: Path, store: str, upload: Callable[[Upload], Sent], *, what: str) -> Sent:
    """Send a record to the store and remove it; keep it when that fails, whatever the reason.

    ``upload`` logs the record and returns where it went. Runs that it has opened when it raises end
    as failed, at once or, after an outage, when the record is sent again. ``what`` the record holds
    ("the sweep is") is for the message of the error.
    """
    try:
        with session(store) as client:
            earlier = _interrupted(record)
            close_runs(client, earlier)
            sent = _closing(Upload(client, record, earlier=tuple(earlier)), upload)
    except VaeAnomalyError as err:
        again = typed("vae-anomaly", "runs", "sync", "--tracking-uri", displayed(store))
        raise type(err)(
            f"{err} Nothing is lost: {what} in {record}. Log it later: {again}"
        ) from err.__cause__
    except BaseException:
        logger.exception("%s kept in %s", what, record)
        raise
    finally:
        (record / OWNER).unlink(missing_ok=True)
    shutil.rmtree(record, ignore_errors=True)
    return sent


def spool_folder(store: str) -> Path:
    """Return where records of a store wait."""
    return (store_folder(store) or Path(DEFAULT_STORE).absolute()) / "spool"


def is_owned(record: Path) -> bool:
    """Tell whether another process of this machine is at a record, for the first time."""
    if os.name != "posix":
        return False
    try:
        host, _, process = (record / OWNER).read_text(encoding="utf-8").rpartition(" ")
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return host == platform.node() and int(process) != os.getpid()


def _this_process() -> str:
    return f"{platform.node()} {os.getpid()}"


def _closing(sending: Upload, upload: Callable[[Upload], Sent]) -> Sent:
    try:
        return upload(sending)
    except Exception as err:
        if not (isinstance(err, RegistryUnavailableError) or is_outage(err)):
            close_runs(sending.client, sending.opened)
        raise


def _interrupted(record: Path) -> list[str]:
    """Return the runs that an outage cut off."""
    file = record / INTERRUPTED
    return list(json.loads(file.read_text())) if file.is_file() else []
