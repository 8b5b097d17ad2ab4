"""Where runs and models are kept, and how to reach it: the only door to MLflow.

Every call into MLflow of this package happens inside `session`, which sets the tracking URI
explicitly (and puts the caller's back), bounds how long a server is waited for, switches off
pickle, telemetry and MLflow's own chatter, and turns what it raises into one error of ours.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from filelock import FileLock, Timeout

from vae_anomaly.errors import (
    ConfigError,
    ModelRefusedError,
    RegistryUnavailableError,
    StorageError,
    VaeAnomalyError,
)
from vae_anomaly.tracking.databases.addresses import (
    DATABASE,
    SQLITE,
    database_of,
    sqlite_uri,
    typed_file,
    typed_sqlite,
    without_strays,
)
from vae_anomaly.tracking.databases.first_use import open_sqlite
from vae_anomaly.tracking.databases.moved import LOCK, experiment_folder
from vae_anomaly.tracking.databases.servers import (
    is_database_server,
    open_server,
    require_listening,
)
from vae_anomaly.tracking.network.answers import CREDENTIALS, masked, probe, translated
from vae_anomaly.tracking.network.patience import bounded_answers
from vae_anomaly.words import reason_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_STORE = "vae-anomaly-store"
"""Folder in the working directory that holds ``mlflow.db`` and ``artifacts/`` by default."""

INIT_TIMEOUT_S = 120.0
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; MLflow's default of 120 with
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # 7 retries waits four minutes for a dead server
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # where results go, and with its credentials
    "MLFLOW_UV_AUTO_DETECT": "false",  # would copy the working directory's lock file into models
}
"""Set before MLflow is imported, unless the user has set them."""
NO_PICKLE = ("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
"""Always set, here and in what we start."""

_LIKE_A_SERVER = re.compile(r"https?[:/]|[\w.-]+:\d+/?$", re.IGNORECASE)
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
        If it is a ``file:`` URI of anything but a folder with a store of ours (MLflow keeps no runs
        in plain files any more), or looks like the address of a server or database and is none,
        such as ``localhost:5000``.

    Examples
    --------
    >>> tracking_uri("http://mlflow.example:5000")
    'http://mlflow.example:5000'
    >>> tracking_uri("/data/store")
    'sqlite:////data/store/mlflow.db'
    """
    chosen = str(uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE).strip()
    if chosen.startswith("file:"):
        known = typed_file(chosen)
        if known is None:
            raise ConfigError(
                f"MLflow no longer keeps runs in plain files; got {chosen}. "
                "Give the folder without 'file:', sqlite:///PATH/mlflow.db or the URL of a server."
            )
        return known
    if chosen.startswith(SQLITE):
        return typed_sqlite(chosen)
    if re.match(r"sqlite:(?!///)", chosen):
        raise ConfigError(
            f"{chosen} is no address of a database. Write sqlite:////PATH/mlflow.db with four "
            "slashes for a path from the root, three for one from here, or give the folder alone."
        )
    if _LIKE_A_SERVER.match(chosen) and not Path(chosen).exists():
        return _server_uri(chosen)
    if "://" in chosen or chosen in {"databricks", "databricks-uc", "uc"}:
        return chosen.rstrip("/")
    return sqlite_uri(Path(chosen) / DATABASE)


def _server_uri(chosen: str) -> str:
    """Return the URL of a server, or refuse what only looks like one."""
    try:
        parts = urlsplit(chosen)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        fine = False
    if not fine:
        raise ConfigError(
            f"{masked(chosen)!r} is no URL of a server. Write http://HOST:PORT or "
            "https://HOST:PORT; for a folder of that name, write ./ before it."
        )
    return chosen.rstrip("/")


def store_folder(uri: str) -> Path | None:
    """Return the folder of a SQLite store, None for a store elsewhere."""
    database = database_of(uri)
    return None if database is None else database.parent


def artifact_root(uri: str, experiment: str) -> str | None:
    """Return where a new experiment keeps its artifacts; None leaves that to the server."""
    folder = store_folder(uri)
    if folder is None:
        return None
    return experiment_folder(folder, experiment).as_uri()


def require_store(uri: str) -> None:
    """Refuse to read a SQLite store that is not there, rather than make an empty one.

    Raises
    ------
    ModelRefusedError
        If there is no such file.
    """
    if not store_exists(uri):
        raise ModelRefusedError(
            f"There is no MLflow store in {store_folder(uri)}, and so no model. Go to the folder "
            "that has one, name it with --tracking-uri or MLFLOW_TRACKING_URI, or train a model "
            "with `vae-anomaly train`."
        )


def store_exists(uri: str) -> bool:
    """Tell whether a SQLite store is there; of any other only asking tells."""
    database = database_of(uri)
    return database is None or database.exists()


def is_server(uri: str) -> bool:
    """Tell whether a store is a server, which may let us in or not."""
    return uri.startswith(("http://", "https://"))


def displayed(uri: str) -> str:
    """Return the URI without the credentials that it may hold, for messages, logs and files."""
    return masked(uri)


@contextmanager
def session(uri: str | Path | None = None) -> Iterator[MlflowClient]:
    """Open the store of `tracking_uri` and yield an ``MlflowClient`` for it.

    MLflow's global tracking URI is the same until the block ends. A server or database that does
    not answer, at the start or inside the block, is a RegistryUnavailableError, one that does not
    let us in a RegistryDeniedError, and what else MLflow raises a ModelRefusedError.
    """
    given = tracking_uri(uri)
    bounded = bounded_answers() if is_server(given) else nullcontext()
    with _lock, quiet(), bounded, _credentials_apart(given) as resolved, _translated(given):
        if is_server(resolved):
            probe(resolved, displayed(given))
        if is_database_server(resolved):
            require_listening(resolved)
        init_store(resolved)
        with _global_uri(resolved), without_strays(resolved):
            import mlflow

            yield mlflow.MlflowClient(resolved, resolved)


def init_store(uri: str | Path | None = None) -> str:
    """Create the tables of a store in a database once; a server needs nothing.

    Returns
    -------
    uri : str
        The absolute tracking URI.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    RegistryUnavailableError
        If another process holds the lock for two minutes, or the file is damaged.
    """
    resolved = tracking_uri(uri)
    database = database_of(resolved)
    if resolved in _ready or (database is None and not is_database_server(resolved)):
        return resolved
    if database is None:
        open_server(resolved, _open_database)
        _ready.add(resolved)
        return resolved
    folder = database.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=INIT_TIMEOUT_S), without_strays(resolved):
            open_sqlite(database, _open_database)
    except Timeout:
        raise RegistryUnavailableError(
            f"Another process has been creating the store in {folder} for {INIT_TIMEOUT_S:.0f} s. "
            "Wait for it, or end it and try again."
        ) from None
    except VaeAnomalyError:
        raise
    except OSError as err:
        raise StorageError(
            f"Cannot keep runs and models in {folder}: {reason_of(err)}. Choose another folder "
            "with --tracking-uri or MLFLOW_TRACKING_URI."
        ) from err
    _ready.add(resolved)
    logger.info("the MLflow store is %s", displayed(resolved))
    return resolved


def _apply_environment() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ[NO_PICKLE[0]] = NO_PICKLE[1]


def _open_database(uri: str) -> None:
    with quiet():
        import mlflow

        mlflow.MlflowClient(uri, uri).search_experiments(max_results=1)


@contextmanager
def quiet() -> Iterator[None]:
    """Apply our settings to MLflow and hide what its libraries tell and warn each other about."""
    _apply_environment()
    with warnings.catch_warnings(), _warnings_only("mlflow"):
        for module in ("mlflow", "alembic", "sqlalchemy", "pydantic"):
            warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")
        warnings.filterwarnings("ignore", message="Unverified HTTPS request")  # as was asked for
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


@contextmanager
def _credentials_apart(uri: str) -> Iterator[str]:
    """Give MLflow the credentials of a server's URI by its variables, and the URI without them.

    So nothing that MLflow prints, raises or stores can show them.
    """
    parts = urlsplit(uri)
    if not (is_server(uri) and parts.username and parts.password):
        yield uri
        return
    apart = dict(zip(CREDENTIALS, (unquote(parts.username), unquote(parts.password)), strict=False))
    before = {name: os.environ.get(name) for name in apart}
    os.environ.update(apart)
    try:
        yield urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into one error of ours, which says what to do."""
    try:
        yield
    except VaeAnomalyError:
        raise
    except Exception as err:
        ours = translated(err, displayed(uri))
        if ours is None:
            raise
        raise ours from (err if masked(str(err)) == str(err) else None)
