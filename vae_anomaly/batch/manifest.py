"""The manifest of an output folder: written last, it lists every output; readers trust nothing else.

It holds no times and no machine's paths: two runs over the same input write the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vae_anomaly.batch.ledger import LedgerRow
from vae_anomaly.data.images.folders import LeftOutImages
from vae_anomaly.errors import DataError
from vae_anomaly.files import reach, replace_file, sha256_of

MANIFEST = "manifest.json"
MAX_BAD_FRACTION = 0.05
"""Share in quarantine that is still a success, where a run says no other."""
_FORMAT_VERSION = 1
_WHERE_ANY = frozenset({"history", "notes"})
_NOT_SHOWN = {"input_path", "code_version", "committed", "seconds", "folders"}


def build_manifest(
    rows: Iterable[LedgerRow],
    failed: Mapping[str, str],
    left_out: Sequence[LeftOutImages] = (),
    nights: Sequence[Sequence[str]] = (),
    models: Mapping[str, str] | None = None,
    max_bad_fraction: float = MAX_BAD_FRACTION,
) -> dict[str, Any]:
    """Return the manifest of an output folder: what is done, and why the rest ``failed``.

    ``left_out`` are images below the last input that are no images of parts; ``nights`` the keys
    of each run, ``models`` the SHA-256 of what is kept of those that scored; ``max_bad_fraction``
    the share in quarantine that the last run still took for a success.
    """
    partitions = [
        {
            name: value
            for name, value in asdict(row).items()
            if name not in _NOT_SHOWN and (name not in _WHERE_ANY or value)
        }
        | ({"folders": sorted(row.folders)} if row.folders else {})
        for row in rows
    ]
    totals = {
        name: sum(part[name] for part in partitions)
        for name in ("rows_in", "rows_out", "rows_flagged", "rows_quarantined")
    }
    return {
        "format_version": _FORMAT_VERSION,
        "partitions": partitions,
        "failed": dict(sorted(failed.items())),
        "totals": {"partitions": len(partitions), **totals},
        "nights": [list(night) for night in nights],
        "models": dict(models or {}),
        "max_bad_fraction": max_bad_fraction,
        **({"left_out": [asdict(one) for one in left_out]} if left_out else {}),
    }


def write_manifest(root: Path, manifest: Mapping[str, object]) -> None:
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
        ``partitions`` (one entry each, with ``files`` and their SHA-256), ``failed``, ``totals``,
        ``nights`` and ``models``, see `night_keys` and `read_scoring_facts`, and
        ``max_bad_fraction``; the last is missing where an earlier version has scored.

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
        verify_files(root, partition["files"])
    if verify:
        verify_files(root, manifest.get("models", {}))
    return manifest


def night_keys(manifest: Mapping[str, Any]) -> list[list[str]]:
    """Return the keys of the partitions of each run, the last run last.

    Where an earlier version has scored, which did not tell runs apart, all are one night.
    """
    nights: list[list[str]] = manifest.get("nights", [])
    return nights or [[entry["key"] for entry in manifest["partitions"]]]


def verify_files(root: Path, files: Mapping[str, str]) -> None:
    """Check that files below the output folder have the SHA-256 that the manifest lists.

    A DataError names the first that is missing or another.
    """
    for name, digest in files.items():
        try:
            actual = sha256_of(root / name)
        except OSError as err:
            raise DataError(
                f"{root / name} is listed in {MANIFEST} but cannot be read: {err.strerror}. "
                "Run again; it is then scored again."
            ) from None
        if actual != digest:
            raise DataError(
                f"{root / name} is not the file that {MANIFEST} lists: its SHA-256 differs. "
                "Run again; it is then scored again."
            )
