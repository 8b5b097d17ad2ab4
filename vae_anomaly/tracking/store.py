"""Where runs and models are kept, and how to reach it: the only door to MLflow.

Every call into MLflow of this package happens inside `session`, which sets the tracking URI
explicitly (and puts the caller's back), bounds how long a dead server is waited for, switches off
pickle, telemetry and MLflow's own chatter, and turns an outage into one error of ours.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout

from vae_anomaly.errors import ConfigError, RegistryUnavailableError, StorageError, VaeAnomalyError

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_STORE = "vae-anomaly-store"
"""Folder in the working directory that holds ``mlflow.db`` and ``artifacts/`` by default."""

PING_TIMEOUT_S = 5.0
INIT_TIMEOUT_S = 120.0
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; MLflow's default of 120 with
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # 7 retries waits four minutes for a dead server
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # would copy the working directory's lock file into models
}
"""Set before MLflow is imported, unless the user has set them."""
NO_PICKLE = ("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
"""Always set, here and in what we start."""

_OUTAGE = re.compile(r"failed with exception|Max retries exceeded|timed out|error code 50[234]")
_lock = threading.RLock()
_ready: set[str] = set()
logger = logging.getLogger(__name__)


def tracking_uri(uri: str | Path | None = None) -> str:
    """Decide which MLflow store to use.

    Parameters
    ----------
    uri : str or Path, optional
        A tracking URI (``http://...``, ``sqlite:///...``, ``postgresql://...``, ``databricks``), or
        a folder, which stands for the SQLite store in it. Default: the environment variable
        ``MLFLOW_TRACKING_URI``, else the folder ``vae-anomaly-store`` in the working directory.

    Returns
    -------
    uri : str
        An absolute tracking URI.

    Raises
    ------
    ConfigError
        If it is a ``file:`` URI: MLflow keeps no runs in plain files any more.

    Examples
    --------
    >>> tracking_uri("http://mlflow.example:5000")
    'http://mlflow.example:5000'
    >>> tracking_uri("/data/store")
    'sqlite:////data/store/mlflow.db'
    """
    chosen = str(uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE)
    if chosen.startswith("file:"):
        raise ConfigError(
            f"MLflow no longer keeps runs in plain files; got {chosen}. "
            "Give the folder without 'file:', sqlite:///PATH/mlflow.db or the URL of a server."
        )
    if chosen.startswith("sqlite:///"):
        return _sqlite_uri(Path(chosen.removeprefix("sqlite:///")))
    if "://" in chosen or chosen in {"databricks", "databricks-uc", "uc"}:
        return chosen.rstrip("/")
    return _sqlite_uri(Path(chosen) / "mlflow.db")


def store_folder(uri: str) -> Path | None:
    """Return the folder of a SQLite store, None for a store elsewhere."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///")).parent


def artifact_root(uri: str, experiment: str) -> str | None:
    """Return where a new experiment keeps its artifacts; None leaves that to the server."""
    folder = store_folder(uri)
    if folder is None:
        return None
    safe = re.sub(r"[^\w.-]", "_", experiment)
    return (folder / "artifacts" / safe).as_uri()


def displayed(uri: str) -> str:
    """Return the URI without the password that it may hold, for messages and logs."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@contextmanager
def session(uri: str | Path | None = None) -> Iterator[MlflowClient]:
    """Open the store of `tracking_uri` and yield an ``MlflowClient`` for it.

    MLflow's global tracking URI is the same until the block ends. A server or database that does
    not answer, at the start or inside the block, is a RegistryUnavailableError.
    """
    resolved = tracking_uri(uri)
    with _lock, quiet(), _translated(resolved):
        _ping(resolved)
        init_store(resolved)
        with _global_uri(resolved):
            import mlflow

            yield mlflow.MlflowClient(resolved, resolved)


def init_store(uri: str | Path | None = None) -> str:
    """Create the tables of a SQLite store once, under a lock; other stores need nothing.

    Several processes that open a new SQLite store at once would break it for good.

    Returns
    -------
    uri : str
        The absolute tracking URI.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    RegistryUnavailableError
        If another process holds the lock for two minutes, or the file is no MLflow database.
    """
    resolved = tracking_uri(uri)
    folder = store_folder(resolved)
    if folder is None or resolved in _ready:
        return resolved
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".mlflow.db.lock", timeout=INIT_TIMEOUT_S):
            _open_database(resolved)
    except Timeout:
        raise RegistryUnavailableError(
            f"Another process has been creating the store in {folder} for {INIT_TIMEOUT_S:.0f} s. "
            "Wait for it, or end it and try again."
        ) from None
    except VaeAnomalyError:
        raise
    except OSError as err:
        raise StorageError(
            f"Cannot keep runs and models in {folder}: {err}. "
            "Choose another folder with --tracking-uri or MLFLOW_TRACKING_URI."
        ) from err
    _ready.add(resolved)
    logger.info("the MLflow store is %s", displayed(resolved))
    return resolved


def _sqlite_uri(database: Path) -> str:
    return f"sqlite:///{os.path.abspath(database.expanduser())}"  # noqa: PTH100 - links stay links


def _apply_environment() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ[NO_PICKLE[0]] = NO_PICKLE[1]


def _open_database(uri: str) -> None:
    with quiet(), _translated(uri):
        import mlflow

        mlflow.MlflowClient(uri, uri).search_experiments(max_results=1)


@contextmanager
def quiet() -> Iterator[None]:
    """Apply our settings to MLflow and hide what its libraries tell and warn each other about."""
    _apply_environment()
    with warnings.catch_warnings(), _warnings_only("mlflow"):
        for module in ("mlflow", "alembic", "sqlalchemy", "pydantic"):
            warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType.*")
        yield


@contextmanager
def _warnings_only(name: str) -> Iterator[None]:
    """Mute what a logger says below a warning; MLflow reads its environment at import only."""
    chatty = logging.getLogger(name)
    level = chatty.level
    chatty.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        chatty.setLevel(level)


@contextmanager
def _global_uri(uri: str) -> Iterator[None]:
    """Set MLflow's global tracking URI for a while: parts of its client read nothing else."""
    import mlflow

    variable = os.environ.get("MLFLOW_TRACKING_URI")
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        if variable is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        else:
            os.environ["MLFLOW_TRACKING_URI"] = variable


def _ping(uri: str) -> None:
    """Ask a server for anything: MLflow's own first call waits far longer for a silent one."""
    if not uri.startswith(("http://", "https://")):
        return
    request = Request(f"{displayed(uri)}/health", method="GET")  # noqa: S310  # http or https, see above
    try:
        with urlopen(request, timeout=PING_TIMEOUT_S):  # noqa: S310  # as the line above
            return
    except HTTPError:
        return  # it answered; whether it lets us in is for MLflow to find out
    except URLError as err:
        if isinstance(err.reason, ssl.SSLError):
            return  # MLflow may have been told to trust it
        raise _unavailable(uri, err.reason) from None
    except OSError as err:
        raise _unavailable(uri, err) from None


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Turn what MLflow raises when its server or database is away into one error of ours."""
    try:
        yield
    except VaeAnomalyError:
        raise
    except Exception as err:
        if is_outage(err):
            raise _unavailable(uri, err) from err
        raise


def is_outage(err: Exception) -> bool:
    """Tell whether an exception means that the server or database is away."""
    root = type(err).__module__.partition(".")[0]
    if root == "sqlalchemy":
        return True
    if root in {"requests", "urllib3"}:
        return isinstance(err, OSError)
    return root == "mlflow" and bool(_OUTAGE.search(str(err)) or _caused_by_database(err))


def _caused_by_database(err: BaseException) -> bool:
    cause = err.__cause__ or err.__context__
    return cause is not None and type(cause).__name__ in {"OperationalError", "DatabaseError"}


def _unavailable(uri: str, reason: object) -> RegistryUnavailableError:
    text = " ".join(str(reason).split())[:200]
    return RegistryUnavailableError(
        f"The MLflow store {displayed(uri)} does not answer ({text}). "
        "Start it, or name another with --tracking-uri or MLFLOW_TRACKING_URI."
    )
