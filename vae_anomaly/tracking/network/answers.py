"""What a store's answer means when it is not the one hoped for: one error of ours, with the remedy.

::

    away        refused connection, silence, a dead database, 429 and 5xx      exit 69
    no MLflow   404, a page instead of JSON, a redirect to a login             exit 69
    denied      401, 403, a certificate that is not trusted                    exit 69
    refused     what was asked for is not there, or is no valid request        exit 5
    full        the disk here, of the store or of what is fetched              exit 74

Credentials are named by their variables and never shown: neither their values nor those in a URI.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vae_anomaly.errors import (
    ConfigError,
    MissingExtraError,
    ModelRefusedError,
    RegistryDeniedError,
    RegistryUnavailableError,
    StorageError,
    VaeAnomalyError,
)
from vae_anomaly.files import is_full_disk, parsed_json

if TYPE_CHECKING:
    from requests import Response

CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
PROBE = "/api/2.0/mlflow/experiments/search"
PROBE_TIMEOUT_S = 5.0
SHORTEST_SECRET = 4  # characters; a shorter one would be found in every word
MAX_GIST = 160  # characters of an answer that are told

_OUTAGE = re.compile(r"failed with (timeout )?exception|Max retries exceeded|timed out")
_UNTRUSTED = re.compile(r"SSLError|CERTIFICATE_VERIFY_FAILED|TLS CA certificate bundle")
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|wrong version number|record layer failure", re.I)
_STATUS = re.compile(
    r"endpoint (?P<place>\S+) failed with error code (?P<code>\d{3})"
    r"|\b(?P<raised>[45]\d\d) (?:Client|Server) Error|too many (?P<repeated>[45]\d\d) error"
)
_PREAMBLE = re.compile(r"^API request to \S+ failed with (timeout )?exception ")
_OF_SQLITE = re.compile(r"\(sqlite3\.\w+\) ([^\n]+)")
_NOT_JSON = "was not in a valid JSON format"
_STATUS_OF_CODE = {
    "UNAUTHENTICATED": 401,
    "CUSTOMER_UNAUTHORIZED": 401,
    "PERMISSION_DENIED": 403,
    "ENDPOINT_NOT_FOUND": 404,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "TEMPORARILY_UNAVAILABLE": 503,
}
_USER_INFO = re.compile(
    r"(?<=://)(?:[^/\s:@]+:(?!\d+(?:[/?#\s]|$))[^\s'\"]*|[^/\s]*)@"  # also where "/" stands in it
)
_SECRET_VALUE = re.compile(
    r"([?&;][\w.-]*(?:password|passwd|pwd|secret|token|key|sig|signature|credential)s?=)[^&;#\s'\"]+",
    re.IGNORECASE,
)
_CLOUDS = {"azure", "boto3", "botocore", "google", "paramiko"}  # that keep artifacts
_ADDRESS = "Check scheme, host, port and path of --tracking-uri or MLFLOW_TRACKING_URI."
_OTHER = "or name another with --tracking-uri or MLFLOW_TRACKING_URI."


def probe(uri: str, store: str) -> None:
    """Ask a server, as MLflow asks, for what every MLflow server has; raise what its answer means.

    A silent server is given up within `PROBE_TIMEOUT_S`; one in trouble is asked again, as often as
    MLflow would. ``store`` is the URI as it may be shown.
    """
    answer = _ask(uri, max_retries=0)
    if answer.status_code == 429 or answer.status_code >= 500:
        answer = _ask(uri, max_retries=None)
    if answer.status_code != 200:
        raise _by_status(store, answer.status_code, gist(answer.text), PROBE)
    if not _is_mlflow(answer.text):
        via = f" after a redirect to {masked(answer.url)}" if answer.history else ""
        raise _no_mlflow(store, f"a page, {gist(answer.text)!r}{via}")


def _ask(uri: str, max_retries: int | None) -> Response:
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    answer: Response = http_request(
        get_default_host_creds(uri),
        PROBE,
        "POST",
        json={"max_results": 1},
        max_retries=max_retries,
        timeout=PROBE_TIMEOUT_S,
        raise_on_status=False,
    )
    return answer


def _is_mlflow(text: str) -> bool:
    try:
        document = parsed_json(text or "{}")
    except ValueError:
        return False
    return isinstance(document, Mapping) and (not document or "experiments" in document)


def is_outage(err: BaseException) -> bool:
    """Tell whether an exception means that the server or database is away."""
    root = _root(err)
    if root == "sqlalchemy":
        return True
    if root in {"requests", "urllib3"}:
        return isinstance(err, OSError) and not is_denial(err)
    if root != "mlflow":
        return False
    status, _ = _status_of(err)
    if status is not None:
        return status == 429 or status >= 500
    return bool(_OUTAGE.search(str(err))) or _caused_by_database(err)


def is_denial(err: BaseException) -> bool:
    """Tell whether an exception means that the server does not let us in, or not do this."""
    return _status_of(err)[0] in {401, 403, 407}


def is_full_here(err: BaseException) -> bool:
    """Tell whether an exception means a full disk of this machine, not of a server."""
    return is_full_disk(err) and type(err).__name__ != "RestException"


def translated(err: BaseException, store: str) -> VaeAnomalyError | None:
    """Return what an exception of MLflow or of what it stands on means; None for any other."""
    root, text = _root(err), gist(str(err))
    if is_full_here(err):
        return StorageError(
            f"What goes to the MLflow store {store} cannot be written ({text}). Free some space, "
            f"{_OTHER}"
        )
    if root == "mlflow" and type(err).__name__.startswith("Unsupported"):
        return ConfigError(f"{store} is no MLflow store: {text}. {_ADDRESS}")
    if root in {"mlflow", "requests", "urllib3"}:
        return _of_server(err, store)
    if root == "sqlalchemy":
        return away(store, text)
    if root in _CLOUDS:
        return RegistryUnavailableError(
            f"The place where the MLflow store {store} keeps its files cannot be used ({text}). "
            "Set the credentials of that place, as MLflow asks for them."
        )
    if isinstance(err, ModuleNotFoundError):
        return MissingExtraError(
            f"The MLflow store {store} needs the package {err.name!r}, which is not installed. "
            f"Install it: pip install {err.name}"
        )
    return None


def _of_server(err: BaseException, store: str) -> VaeAnomalyError:
    text = str(err)
    if _NO_TLS.search(text):
        return RegistryUnavailableError(
            f"The MLflow store {store} does not speak TLS. Write http:// in place of https://, "
            f"or check the port."
        )
    if _UNTRUSTED.search(text):
        return RegistryDeniedError(
            f"The certificate of the MLflow store {store} is not trusted ({gist(text)}). Name the "
            "file of its authority in MLFLOW_TRACKING_SERVER_CERT_PATH; on a network that you "
            "trust, MLFLOW_TRACKING_INSECURE_TLS=true goes without."
        )
    status, place = _status_of(err)
    if status is not None:
        body = text.partition("Response body: ")[2] or text
        return _by_status(store, status, gist(body.strip("'")), place)
    if _NOT_JSON in text:
        return _no_mlflow(store, f"a page, {gist(text.partition('Response body: ')[2])!r}")
    if is_outage(err):
        return away(store, gist(text))
    return ModelRefusedError(f"The MLflow store {store} refuses: {gist(text)}.")


def _status_of(err: BaseException) -> tuple[int | None, str]:
    """Return the HTTP status that an exception stands for, and what was asked for, if known."""
    response = getattr(err, "response", None)
    if _root(err) == "requests" and response is not None:
        return int(response.status_code), ""
    if _root(err) != "mlflow":
        return None, ""
    if match := _STATUS.search(str(err)):
        return int(match["code"] or match["raised"] or match["repeated"]), match["place"] or ""
    code = getattr(err, "error_code", "")
    if code == "INTERNAL_ERROR" and type(err).__name__ == "RestException":
        return 500, ""
    return _STATUS_OF_CODE.get(code), ""


def _by_status(store: str, status: int, said: str, place: str = "") -> VaeAnomalyError:
    asked = place.rpartition("/mlflow/")[2]
    facts = f"{status}{' at ' + asked if asked else ''}: {said or 'no reason given'}"
    if status in {401, 407}:
        return RegistryDeniedError(
            f"The MLflow store {store} does not let us in ({facts}). {_credentials()}"
        )
    if status == 403:
        return RegistryDeniedError(
            f"The MLflow store {store} does not allow this ({facts}). Ask its administrator for "
            f"the permission, or come as somebody else. {_credentials()}"
        )
    if status == 429 or (status >= 500 and status != 501):
        return RegistryUnavailableError(
            f"The MLflow store {store} is in trouble ({facts}). Try again later, {_OTHER}"
        )
    return _no_mlflow(store, facts)


def _no_mlflow(store: str, answer: str) -> VaeAnomalyError:
    return RegistryUnavailableError(
        f"{store} does not answer as an MLflow server does ({answer}). {_ADDRESS} "
        f"If it wants a login: {_credentials()}"
    )


def away(store: str, reason: str) -> VaeAnomalyError:
    """Return the error of a store that does not answer; ``store`` as it may be shown."""
    return RegistryUnavailableError(
        f"The MLflow store {store} does not answer ({reason}). Start it, {_OTHER}"
    )


def _credentials() -> str:
    """Say which variables hold the credentials, and which of them are set."""
    given = [name for name in CREDENTIALS if os.environ.get(name)]
    return (
        "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN "
        f"(set now: {', '.join(given) or 'none'})."
    )


def gist(text: str) -> str:
    """Return the beginning of an answer in one line: of a page its title; no credentials."""
    if page := re.search(r"<title[^>]*>(.*?)</title>|<h1[^>]*>(.*?)</h1>", text, re.I | re.S):
        text = page[1] or page[2]
    try:
        document = parsed_json(text)
        text = str(document["message"]) if "message" in document else text
    except (ValueError, TypeError):
        pass
    if said := _OF_SQLITE.search(text):  # of SQLAlchemy's page
        text = said[1]
    text = _PREAMBLE.sub("", text)
    if "Max retries exceeded" in text:  # of the nested causes the innermost says what happened
        text = text.rpartition("Caused by ")[2].rpartition(": ")[2].strip("\"'()<>")
    line = masked(" ".join(re.sub(r"<[^>]*>", " ", text).split()))
    return (line if len(line) <= MAX_GIST else f"{line[:MAX_GIST]}...").rstrip(".")


def masked(text: str) -> str:
    """Return a text without credentials: those in its URIs, and the values of the variables.

    Examples
    --------
    >>> masked("mysql://me:pass/word@host/db?ssl_key=4711&timeout=5 is away")
    'mysql://host/db?ssl_key=***&timeout=5 is away'
    """
    for name in CREDENTIALS[1:]:
        value = os.environ.get(name, "")
        if len(value) >= SHORTEST_SECRET:
            text = text.replace(value, "***")
    return _SECRET_VALUE.sub(r"\1***", _USER_INFO.sub("", text))


def _root(err: BaseException) -> str:
    return type(err).__module__.partition(".")[0]


def _caused_by_database(err: BaseException) -> bool:
    cause = err.__cause__ or err.__context__
    return cause is not None and type(cause).__name__ in {"OperationalError", "DatabaseError"}
