"""Addresses of SQLite stores: as a person types them, and as SQLAlchemy reads them.

SQLAlchemy takes what stands behind ``sqlite:///`` to a ``?``, and decodes it. So a folder called
``line?2`` was cut to ``line``, and the models of another folder were seen. Here a path is quoted
once, where it becomes an address. A folder called ``a%20b`` is refused: MLflow decodes the paths of
files as well, some of them twice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from vae_anomaly.errors import ConfigError
from vae_anomaly.files import in_home

SQLITE = "sqlite:///"
DATABASE = "mlflow.db"
_CODE = re.compile(r"%[0-9A-Fa-f]{2}")
_QUERY = re.compile(r"\?[\w.]+=[^/?]*$")


def sqlite_uri(database: Path) -> str:
    """Return the address of a database: absolute, with ``%`` and ``?`` quoted.

    Raises
    ------
    ConfigError
        If the path has what looks like a quoted character (``%20``), for MLflow decodes the paths
        of files and would look in another folder; or if it has a ``?`` and the installed
        SQLAlchemy, before 2.1, cannot open it.
    """
    path = os.path.abspath(in_home(database))  # noqa: PTH100 - links stay links
    if code := _CODE.search(path):
        raise ConfigError(
            f"MLflow reads {code.group()!r} in the path of a store as {unquote(code.group())!r}, "
            f"and would keep files in another folder: {path}. Rename that folder, or name another "
            "one with --tracking-uri or MLFLOW_TRACKING_URI."
        )
    if _decodes():
        return SQLITE + path.replace("%", "%25").replace("?", "%3F")
    if "?" in path:
        raise ConfigError(
            f"SQLAlchemy {version('sqlalchemy')} cannot open a database whose path has a '?': "
            f"{path}. Install SQLAlchemy 2.1, or name another folder with --tracking-uri."
        )
    return SQLITE + path


def database_of(uri: str) -> Path | None:
    """Return the file of an address that `sqlite_uri` gave; None for a store elsewhere."""
    if not uri.startswith(SQLITE):
        return None
    path = _QUERY.sub("", uri.removeprefix(SQLITE))
    return Path(unquote(path) if _decodes() else path)


def typed_sqlite(uri: str) -> str:
    """Read ``sqlite:///PATH`` as whoever typed it means it, and return its proper address.

    A path is taken literally where there is such a database, else decoded where there is such a
    one; a new one is decoded, as addresses are. The path of a folder stands for the store in it.
    """
    rest = uri.removeprefix(SQLITE)
    query = _QUERY.search(rest)
    text = rest[: query.start()] if query else rest
    literal, decoded = (_database_in(in_home(words)) for words in (text, unquote(text)))
    chosen = literal if literal.exists() else decoded
    return sqlite_uri(chosen) + (query.group() if query else "")


def typed_file(uri: str) -> str | None:
    """Return the address of our store in the folder of a ``file:`` URI; None where there is none.

    Raises
    ------
    ConfigError
        If it names another machine.
    """
    parts = urlsplit(uri.replace("#", "%23").replace("?", "%3F"))
    if parts.netloc not in {"", "localhost"}:
        raise ConfigError(
            f"{uri} names a folder of the machine {parts.netloc!r}. A folder of this one has three "
            f"slashes: file:///{parts.netloc}{parts.path}"
        )
    for text in (uri.partition(":")[2].removeprefix("//"), url2pathname(parts.path)):
        database = _database_in(in_home(text.removeprefix("localhost")))
        if database.is_file():
            return sqlite_uri(database)
    return None


@contextmanager
def without_strays(uri: str) -> Iterator[None]:
    """Take away the empty folders that MLflow makes where it reads a quoted path literally."""
    quoted = Path(uri.removeprefix(SQLITE)).parent
    stray = database_of(uri) is not None and "%" in str(quoted) and not quoted.exists()
    before = {folder for folder in (quoted, *quoted.parents) if folder.exists()} if stray else set()
    try:
        yield
    finally:
        for folder in (quoted, *quoted.parents) if stray else ():
            if folder not in before:
                with suppress(OSError):  # not empty, or not there
                    folder.rmdir()


def _database_in(path: Path) -> Path:
    return path / DATABASE if path.is_dir() else path


def _decodes() -> bool:
    """Tell whether the installed SQLAlchemy decodes the path of a database."""
    major, minor = version("sqlalchemy").split(".")[:2]
    return (int(major), int(minor)) >= (2, 1)
