"""``manifest.json``: written last, lists every output; readers trust nothing else.

It holds no times and no machine's paths: two runs over the same input write the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from vae_anomaly.batch.ledger import LedgerRow
from vae_anomaly.errors import DataError
from vae_anomaly.failpoints import reach
from vae_anomaly.files import replace_file, sha256_of

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
_SHOWN = (
    "key", "kind", "folder", "input_bytes", "input_sha256", "rows_in", "rows_out", "rows_flagged",
    "rows_quarantined", "output", "output_sha256", "files", "codes", "model_version",
    "model_digest", "threshold", "config_sha256",
)  # fmt: skip


def build_manifest(rows: Iterable[LedgerRow], failed: Mapping[str, str]) -> dict[str, Any]:
    """Return the manifest of an output folder as plain data.

    Parameters
    ----------
    rows : iterable of LedgerRow
        Everything that is done.
    failed : mapping of str to str
        Partitions that could not be read, with the reason.
    """
    partitions = [
        {name: getattr(row, name) for name in _SHOWN}
        | ({"history": row.history} if row.history else {})
        for row in rows
    ]
    totals = {
        name: sum(part[name] for part in partitions)
        for name in ("rows_in", "rows_out", "rows_flagged", "rows_quarantined")
    }
    return {
        "format_version": FORMAT_VERSION,
        "partitions": partitions,
        "failed": dict(sorted(failed.items())),
        "totals": {"partitions": len(partitions), **totals},
    }


def write_manifest(root: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest in one step, unless it is there already, byte for byte."""
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    target = root / MANIFEST
    reach("before-manifest")
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        with replace_file(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
    reach("manifest-written")


def read_manifest(out: str | Path, *, verify: bool = True) -> dict[str, Any]:
    """Read what a finished run wrote.

    Parameters
    ----------
    out : str or Path
        The output folder.
    verify : bool
        Check the SHA-256 of every file that the manifest lists.

    Returns
    -------
    manifest : dict
        ``partitions`` (one entry each, with ``files`` and their SHA-256), ``failed``, ``totals``.

    Raises
    ------
    DataError
        If there is no manifest (the run was not finished), or a file is missing or changed.
    """
    root = Path(out)
    try:
        manifest: dict[str, Any] = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
        partitions = manifest["partitions"]
    except FileNotFoundError:
        raise DataError(
            f"{root} has no {MANIFEST}: the run that writes there has not finished. "
            "Run it again; what is done is not done twice."
        ) from None
    except (OSError, ValueError, KeyError) as err:
        raise DataError(f"{root / MANIFEST} cannot be read: {err!r}. Run again.") from err
    for partition in partitions if verify else ():
        _verify(root, partition["files"])
    return manifest


def read_results(out: str | Path, *, columns: list[str] | None = None) -> pd.DataFrame:
    """Return all scored items of a finished run as one table.

    Parameters
    ----------
    out : str or Path
        The output folder.
    columns : list of str, optional
        Only these columns, beside ``partition``.

    Returns
    -------
    results : DataFrame
        The columns of the output files, and ``partition``.

    Raises
    ------
    DataError
        As `read_manifest`.
    """
    root = Path(out)
    frames = [
        pd.read_parquet(root / entry["output"], columns=columns).assign(partition=entry["key"])
        for entry in read_manifest(root)["partitions"]
    ]
    kept = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()


def _verify(root: Path, files: Mapping[str, str]) -> None:
    for name, digest in files.items():
        try:
            found = sha256_of(root / name)
        except OSError as err:
            raise DataError(
                f"{root / name} is listed in {MANIFEST} but cannot be read: {err.strerror}. "
                "Run again; it is then scored again."
            ) from None
        if found != digest:
            raise DataError(
                f"{root / name} is not the file that {MANIFEST} lists: its SHA-256 differs. "
                "Run again; it is then scored again."
            )
