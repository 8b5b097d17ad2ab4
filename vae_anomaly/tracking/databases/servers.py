"""Database servers: whether one listens, and the first use of a database by several processes.

MLflow asks a server that is away ten times, with ever longer pauses: two minutes. So it is asked
for a connection first. Of processes that find no tables one makes them, in transactions, and the
others ask again.
"""

from __future__ import annotations

import logging
import re
import socket
import time
from typing import Final

from vae_anomaly.errors import RegistryUnavailableError
from vae_anomaly.tracking.databases.first_use import Open
from vae_anomaly.tracking.network.answers import away, gist, masked
from vae_anomaly.words import reason_of

CONNECT_TIMEOUT_S: Final = 5.0
PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before tables are asked for again, which another process may be making."""
_PORTS: Final = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_RACE: Final = re.compile(r"already exists|duplicate|deadlock|out-of-date database schema", re.I)
logger = logging.getLogger(__name__)


def is_database_server(uri: str) -> bool:
    """Tell whether a store is a database of a server."""
    return uri.startswith(tuple(_PORTS))


def require_listening(uri: str) -> None:
    """Refuse a database that takes no connection; where its host is not told, ask nothing.

    Raises
    ------
    ModuleNotFoundError
        If the driver of the database is not installed.
    RegistryUnavailableError
        If nobody listens there, or it does not let us in.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    url = make_url(uri)
    url.get_dialect().import_dbapi()  # a missing driver is told before a server that is away
    if not url.host:
        return
    port = url.port or _PORTS[url.get_backend_name()]
    try:
        socket.create_connection((url.host, port), CONNECT_TIMEOUT_S).close()
    except OSError as err:
        raise away(masked(uri), reason_of(err)) from None
    engine = create_engine(url, poolclass=NullPool)
    try:
        engine.connect().close()
    except SQLAlchemyError as err:
        raise RegistryUnavailableError(
            f"The MLflow store {masked(uri)} cannot be opened ({gist(str(err))}). Check the user, "
            "the password and the name of the database in --tracking-uri or MLFLOW_TRACKING_URI."
        ) from None
    finally:
        engine.dispose()


def open_server(uri: str, make: Open) -> None:
    """Open a store in a database server, which another process may be about to make as well."""
    for pause in PAUSES_S:
        try:
            make(uri)
        except Exception as err:
            if not _RACE.search(str(err)):
                raise
            logger.info("the tables are being made by another process; asking again")
            time.sleep(pause)
        else:
            return
    make(uri)
