"""Tell somebody of an alarm: a command of theirs, or a web address that takes JSON.

Neither may hold a night up: both have a limit of time in all, tries included. A web address may
hold a secret: nothing but its host is ever shown.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, Final
from urllib.parse import unquote, urlsplit

from vae_anomaly.errors import AlarmUndeliveredError, ConfigError
from vae_anomaly.words import reason_of

COMMAND_S: Final = 60.0
"""Seconds that an alarm command may take."""
WEBHOOK_S: Final = 30.0
"""Seconds that a web address is tried for, in all."""
_TRY_S: Final = 10.0
_WAITS_S: Final = (1.0, 2.0, 4.0)
_MOST_BYTES: Final = 65_536

Document = Mapping[str, Any]


def run_alarm_command(command: str, document: Document, paths: Sequence[str]) -> None:
    """Run a command with the paths of summaries as arguments and the document on its input.

    No shell reads it: ``sh -c '...'`` is one where one is wanted. What it prints goes where this
    process prints errors.

    Raises
    ------
    ConfigError
        If it is no command.
    AlarmUndeliveredError
        If it cannot be started, fails or takes more than a minute.
    """
    words = command_words(command)
    named = f"The alarm command {words[0]!r}"
    try:
        returned = _ended([*words, *paths], json.dumps(dict(document)).encode())
    except subprocess.TimeoutExpired:
        raise AlarmUndeliveredError(
            f"{named} took more than {COMMAND_S:.0f} s and was ended, with all that it started. "
            "Let it hand its work on."
        ) from None
    except OSError as err:
        raise AlarmUndeliveredError(
            f"{named} cannot be started: {err.strerror}. Give its whole path."
        ) from None
    if returned:
        raise AlarmUndeliveredError(
            f"{named} ended with {returned}. Try it by hand: it gets the paths of summaries "
            "and JSON on its input."
        )


def _ended(words: Sequence[str], given: bytes) -> int:
    """Run a program and return its exit code; what takes too long ends with all its children."""
    with subprocess.Popen(  # noqa: S603 - the user's own command, no shell
        words, stdin=subprocess.PIPE, stdout=2, start_new_session=True
    ) as process:
        try:
            process.communicate(given, timeout=COMMAND_S)
        except BaseException:
            _kill_group(process)
            raise
    return process.returncode


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and its children, which are a group of their own where there are such."""
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def command_words(command: str) -> list[str]:
    """Return the words of a command as a shell splits them; a ConfigError where there is none."""
    try:
        words = shlex.split(command)
    except ValueError as err:
        raise ConfigError(
            f"--alarm-command cannot be read: {reason_of(err)}. Close the quotes."
        ) from None
    if not words:
        raise ConfigError("--alarm-command is empty. Give a program, with arguments if it has any.")
    return words


def shown_host(url: str) -> str:
    """Return what may be shown of a web address: scheme and host.

    Raises
    ------
    ConfigError
        If it is no web address.

    Examples
    --------
    >>> shown_host("https://user:pw@hooks.example.com/services/T0/SECRET?token=x")
    'https://hooks.example.com'
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in url):
        raise ConfigError(
            "--webhook is no web address. Give one that begins with https:// and names a host."
        )
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def post_webhook(url: str, document: Document, *, deadline_s: float = WEBHOOK_S) -> None:
    """Post a document as JSON; tries again what may pass by itself.

    Parameters
    ----------
    url : str
        A name and a password in it are sent as such. Redirects are not followed.
    deadline_s : float
        Seconds in all, whatever the server does.

    Raises
    ------
    ConfigError
        If it is no web address.
    AlarmUndeliveredError
        If the server refuses it, or does not take it in time.
    """
    host, request = shown_host(url), _request(url, document)
    until, why = time.monotonic() + deadline_s, "no answer"
    for wait_s in (*_WAITS_S, None):
        left_s = until - time.monotonic()
        if left_s <= 0:
            break
        status, why = _try(request, min(_TRY_S, left_s))
        if status is not None and status < 300:
            return
        if status is not None and status not in (408, 425, 429) and status < 500:
            raise AlarmUndeliveredError(
                f"{host} does not take the alarm: {why}. Look at the address of --webhook."
            )
        if wait_s is None or time.monotonic() + wait_s >= until:
            break
        time.sleep(wait_s)
    raise AlarmUndeliveredError(
        f"{host} did not take the alarm within {deadline_s:.0f} s: {why}. The results stand; tell "
        "who waits for it."
    )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would show the alarm, and the credentials, to somebody else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: HTTPMessage, newurl: str,
    ) -> None:  # fmt: skip
        return None


def _request(url: str, document: Document) -> urllib.request.Request:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    headers = {"Content-Type": "application/json", "User-Agent": "vae-anomaly"}
    if parts.username:
        both = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(both.encode()).decode()}"
    plain = parts._replace(netloc=place, fragment="").geturl()
    data = json.dumps(dict(document)).encode()
    return urllib.request.Request(plain, data, headers, method="POST")  # noqa: S310 - http(s) alone


def _try(request: urllib.request.Request, within_s: float) -> tuple[int | None, str]:
    """Send once; return status and reason, None where there was no answer in time.

    A timeout of a socket begins anew with every byte, so a server that drips is left to a thread.
    """
    answer: list[tuple[int | None, str]] = []
    thread = threading.Thread(
        target=lambda: answer.append(_sent(request, within_s)), daemon=True, name="webhook"
    )
    thread.start()
    thread.join(within_s)
    return answer[0] if answer else (None, f"no answer within {within_s:.0f} s")


def _sent(request: urllib.request.Request, within_s: float) -> tuple[int | None, str]:
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=within_s) as response:
            response.read(_MOST_BYTES)
            return int(response.status), "taken"
    except urllib.error.HTTPError as err:
        return err.code, f"status {err.code}"
    except (OSError, HTTPException, ValueError) as err:
        return None, _kind_of(err)


def _kind_of(err: Exception) -> str:
    """Say what went wrong without the address, which messages of others may hold."""
    inner = getattr(err, "reason", err)
    number = getattr(inner, "errno", None)
    words = os.strerror(number) if isinstance(number, int) and number > 0 else ""
    return words or type(inner).__name__
