"""Put files and folders in their place whole or not at all; say what a file holds by its digest.

To prove that a run survives being stopped anywhere, tests, and nothing else, set
``VAE_ANOMALY_FAILPOINT``: ``STEP``, ``STEP:N`` (at the N-th time in a process) or ``STEP:N:ACTION``
with the action ``kill`` (SIGKILL, the default), ``full`` (as if the disk were full), ``term``
(SIGTERM) or ``orphan`` (SIGKILL to the process that started this one). ``STEP@KEY`` is that step of
one partition.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import ntpath
import os
import re
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from vae_anomaly.errors import ConfigError, StorageError, VaeAnomalyError
from vae_anomaly.names import MAX_NAME_BYTES, bounded

PARTIAL = ".partial"
REMEDY: Final = "Free some space or choose another --out, then run again."
_BLOCK_BYTES = 1 << 20
_SYSTEM_FILES: Final = frozenset(
    {
        ".directory", ".ds_store", ".localized", "desktop.ini", "ehthumbs.db", "ehthumbs_vista.db",
        "icon\r", "synoindex.db", "thumbs.db",
    }
)  # fmt: skip

VARIABLE: Final = "VAE_ANOMALY_FAILPOINT"

FAILPOINTS: Final = (
    "locked",
    "ledger-open",
    "stale-removed",
    "manifest-withdrawn",
    "partition-started",
    "temp-written",
    "temp-synced",
    "renamed",
    "folder-synced",
    "partition-finished",
    "ledger-written",
    "before-manifest",
    "manifest-written",
)
"""Every step of a run, in order; those of a file are passed once for each file."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_NO_ROOM: Final = (errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EDQUOT)
_SAYS_NO_ROOM: Final = re.compile(
    "database or disk is full|readonly database|disk I/O error|"
    rf"\[Errno (?:{'|'.join(map(str, _NO_ROOM))})\]"
)

_reached: Counter[str] = Counter()
_ask: ContextVar[Callable[[], None]] = ContextVar("ask", default=lambda: None)


def in_home(path: str | Path) -> Path:
    """Return a path with its ``~`` filled in; of a user that is not there it stays, as in shells.

    Examples
    --------
    >>> in_home("~nobody-of-that-name/model").as_posix()
    '~nobody-of-that-name/model'
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib raises RuntimeError there


def leads_out(root: str | Path, name: str) -> bool:
    """Tell whether a name, taken below a folder, leads out of it: by itself or over a link.

    Examples
    --------
    >>> leads_out(".", "a/b.png"), leads_out(".", "a/../../b.png"), leads_out(".", "/etc/passwd")
    (False, True, True)
    """
    steps = name.replace("\\", "/").split("/")
    if ".." in steps or "" in steps[:1] or ntpath.splitdrive(name)[0]:
        return True
    try:
        return lies_outside(Path(root, name), os.path.realpath(root))
    except (OSError, ValueError):  # what no path holds, such as NUL
        return True


def lies_outside(path: str | Path, root: str | Path) -> bool:
    """Tell whether a path really lies outside the root, which is a real path."""
    real, top = os.path.realpath(path), os.fspath(root)
    return real != top and not real.startswith(os.path.join(top, ""))  # noqa: PTH118 - "/" stays "/"


def is_system_file(name: str) -> bool:
    """Tell whether a file is one that file managers leave in every folder that they show.

    Examples
    --------
    >>> is_system_file(".DS_Store"), is_system_file("._weights.safetensors"), is_system_file("a")
    (True, True, False)
    """
    return name.casefold() in _SYSTEM_FILES or name.startswith("._")


@contextmanager
def replace_file(target: Path, remedy: str = REMEDY) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; when the block ends well it takes its place.

    The order is: write, flush to disk, rename, flush the folder. A crash at any point leaves the
    older file, the newer file, or none if there was none; never a part of one.

    The temporary file is removed if the block raises. Where the disk is full or not writable, the
    `StorageError` says to follow the remedy, and an earlier ``target`` is intact.
    """
    with _or_storage_error(target, "file", remedy):
        _require_file_place(target)
    ending = f".{os.getpid()}{PARTIAL}"
    temporary = target.with_name(bounded(f".{target.name}", MAX_NAME_BYTES, ending))
    try:
        with _or_storage_error(target, "file", remedy):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            reach("temp-written")
            _sync(temporary)
            reach("temp-synced")
            _ask.get()()
            temporary.replace(target)
            reach("renamed")
            _sync(target.parent)
            reach("folder-synced")
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextmanager
def asking_before_writes(ask: Callable[[], None]) -> Iterator[None]:
    """Call ``ask`` before each `replace_file` and `remove_file` in the block takes effect.

    Where it raises, the file stays as it is.
    """
    token = _ask.set(ask)
    try:
        yield
    finally:
        _ask.reset(token)


def remove_file(target: Path) -> None:
    """Remove a file that an earlier run left, if there is one."""
    _ask.get()()
    target.unlink(missing_ok=True)


def _refuse_address(target: Path) -> None:
    """Refuse to make a folder called ``s3:``: this is written to disks only."""
    start = target.parts[0] if target.parts else ""
    if _SCHEME.fullmatch(start):
        raise ConfigError(
            f"{start}//{'/'.join(target.parts[1:])} is an address, and this is written to a disk. "
            "Name a path here, and copy it there."
        )


def _require_file_place(target: Path) -> None:
    """Refuse what a file cannot take the place of: an address, a folder, a device, a pipe."""
    _refuse_address(target)
    if not target.name or target.is_dir():
        raise StorageError(f"{target} is a folder, where a file is to be written. Name the file.")
    if os.path.lexists(target) and target.exists() and not target.is_file():
        raise StorageError(f"{target} is a device or a pipe, and is not written over. Name a file.")


@contextmanager
def replace_folder(target: Path, remedy: str = REMEDY) -> Iterator[Path]:
    """Yield an empty folder beside ``target``; when the block ends well it takes its place.

    As `replace_file`: a reader sees the older folder or the newer one, never a part of either, and
    a disk that is full or not writable is a `StorageError` and leaves the older one.
    """
    _refuse_address(target)
    with _or_storage_error(target, "folder", remedy):
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = _hidden_beside(target, ".")
        try:
            yield staging
            for path in staging.iterdir():
                _sync(path)
            staging.chmod(0o755)  # mkdtemp made it private
            _swap(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def is_full_disk(err: BaseException) -> bool:
    """Tell whether an error means that a disk is full or closed, whoever has met it and says so.

    Examples
    --------
    >>> is_full_disk(RuntimeError("(sqlite3.OperationalError) database or disk is full"))
    True
    """
    return getattr(err, "errno", None) in _NO_ROOM or bool(_SAYS_NO_ROOM.search(str(err)))


def remove_stale(root: Path) -> int:
    """Remove the temporary files of runs that were killed; return how many there were."""
    stale = [path for path in root.rglob(f".*{PARTIAL}") if path.is_file()]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


def json_text(content: object) -> str:
    """Return JSON for a file: indented, its keys sorted; NaN raises ValueError."""
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"


def parsed_json(text: str | bytes) -> Any:
    """Read JSON of unknown origin; what is too deep to be read is a ValueError like other faults.

    Examples
    --------
    >>> parsed_json("[" * 100_000)
    Traceback (most recent call last):
    json.decoder.JSONDecodeError: it is nested too deeply: line 1 column 1 (char 0)
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise json.JSONDecodeError("it is nested too deeply", "", 0) from None


def write_json(content: object, path: str | Path, remedy: str = REMEDY) -> Path:
    """Write JSON as `json_text` gives it, in one step, and return its path.

    Raises
    ------
    StorageError
        If it cannot be written; an earlier file is intact.
    """
    target, text = Path(path), json_text(content)
    with replace_file(target, remedy) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


def sha256_of(*contents: bytes | str | Path) -> str:
    """Return one SHA-256, in hexadecimal, of bytes, texts (as UTF-8) and what files hold.

    Examples
    --------
    >>> sha256_of("ab") == sha256_of("a", b"b")
    True
    """
    digest = hashlib.sha256()
    for content in contents:
        if isinstance(content, Path):
            with content.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
        else:
            digest.update(content.encode() if isinstance(content, str) else content)
    return digest.hexdigest()


def reach(step: str, key: str = "") -> None:
    """Note that a step, of the partition ``key``, was reached; do no more unless a test asks."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    name, _, rest = wanted.partition(":")
    count, _, action = rest.partition(":")
    if name not in (step, f"{step}@{key}"):
        return
    _reached[name] += 1
    if _reached[name] != int(count or 1):
        return
    if action.startswith("once="):  # in whichever process comes first
        with suppress(FileExistsError):
            Path(action.removeprefix("once=")).touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
        return
    if action == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if action == "orphan":
        parent = os.getppid()
        os.kill(parent, signal.SIGKILL)
        while os.getppid() == parent:
            time.sleep(0.01)
        return
    os.kill(os.getpid(), signal.SIGTERM if action == "term" else signal.SIGKILL)


@contextmanager
def _or_storage_error(target: Path, kind: str, remedy: str) -> Iterator[None]:
    """Turn what a full or closed disk raises into one error of ours."""
    try:
        yield
    except VaeAnomalyError:
        raise
    except OSError as err:
        earlier = (
            f" The earlier {kind} of that name is intact." if os.access(target, os.F_OK) else ""
        )
        raise StorageError(
            f"{target} cannot be written: {err.strerror or err}.{earlier} {remedy}"
        ) from err


def _swap(staging: Path, target: Path) -> None:
    """Put ``staging`` in the place of ``target``; the old one stays until the new one stands."""
    if not target.exists():
        staging.rename(target)
        return
    retired = _hidden_beside(target, ".old.")
    target.rename(retired / "old")
    try:
        staging.rename(target)
    except OSError:
        (retired / "old").rename(target)
        raise
    finally:
        shutil.rmtree(retired, ignore_errors=True)


def _hidden_beside(target: Path, ending: str) -> Path:
    """Make a folder for temporary use, called after the target as far as its name has room."""
    prefix = bounded(f".{target.name}", MAX_NAME_BYTES - 16, ending)  # mkdtemp adds 8
    return Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))


def _sync(path: Path) -> None:
    if os.name == "nt":
        return  # what is open for reading cannot be flushed there, and a folder cannot be opened
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
