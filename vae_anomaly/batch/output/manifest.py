"""The manifest of an output folder: written last, the one thing that readers trust.

It lists every output. It holds no times and no machine's paths: two runs over the same input write
the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from vae_anomaly.batch.output.ledger import HistoryRecord, LedgerRow
from vae_anomaly.batch.output.written import is_model_path, refuse_links, refuse_unwritten
from vae_anomaly.data.images.folders import LeftOutImages
from vae_anomaly.errors import DataError, StorageError
from vae_anomaly.files import leads_out, reach, replace_file, sha256_of
from vae_anomaly.state import first_fault
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.words import reason_of

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
    repeated_ids: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return the manifest of an output folder: what is done, and why the rest ``failed``.

    ``left_out`` are images below the last input that are no images of parts; ``nights`` the keys
    of each run, ``models`` the SHA-256 of what is kept of those that scored; ``max_bad_fraction``
    the share in quarantine that the last run still took for a success; ``repeated_ids`` by
    partition the rows whose id an earlier file of the last run has as well.
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
        **({"repeated_ids": dict(repeated_ids)} if repeated_ids else {}),
        **({"left_out": [asdict(one) for one in left_out]} if left_out else {}),
    }


def write_manifest(root: Path, manifest: Mapping[str, object]) -> None:
    """Write the manifest in one step, unless it is there already, byte for byte."""
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    content, target = text.encode(), root / MANIFEST
    reach("before-manifest")
    if not target.is_file() or target.read_bytes() != content:
        with replace_file(target) as temporary:
            temporary.write_bytes(content)
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
        ``max_bad_fraction``; the last is missing where an earlier version has scored. Where
        files of the last run share ids, ``repeated_ids``.

    Raises
    ------
    DataError
        If there is no manifest (the run was not finished), it is none that a run has written, or
        a file is missing or changed, or is a link that leads out of the folder.
    """
    root = Path(on_disk(out))
    try:
        text = (root / MANIFEST).read_text(encoding="utf-8")
        manifest: dict[str, Any] = json.loads(text)
        _Manifest.model_validate(manifest)
    except FileNotFoundError:
        raise DataError(
            f"{root} has no {MANIFEST}: the run that writes there has not finished. "
            "Run it again; what is done is not done twice."
        ) from None
    except (OSError, ValueError, RecursionError) as err:
        reason = first_fault(err) if isinstance(err, ValidationError) else reason_of(err)
        raise DataError(
            f"{root / MANIFEST} is no manifest that a run has written: {reason}. Run again."
        ) from None
    _refuse_links(root, manifest)
    for partition in manifest["partitions"] if verify else ():
        verify_files(root, partition["files"])
    if verify:
        verify_files(root, manifest.get("models", {}))
    return manifest


_Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Entry(BaseModel):
    """A partition of a manifest, as far as readers use it; what else it holds is let be."""

    model_config = ConfigDict(strict=True)
    key: str
    kind: Literal["table", "images"]
    folder: str = ""
    output: str
    files: dict[str, str]
    rows_in: _Count
    rows_out: _Count
    rows_flagged: _Count
    rows_quarantined: _Count
    codes: dict[str, _Count]
    model_version: str
    model_digest: str
    threshold: float
    history: HistoryRecord | None = None
    notes: list[str] = []

    @model_validator(mode="after")
    def _names_its_own(self) -> Self:
        refuse_unwritten(self.key, self.output, self.files)
        return self


def _of_a_model(name: str) -> str:
    if not is_model_path(name):
        raise ValueError(f"{name!r} is no file of a model")
    return name


_ModelPath = Annotated[str, AfterValidator(_of_a_model)]


class _LeftOut(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    reason: str
    where: str
    n_images: int


class _Manifest(BaseModel):
    model_config = ConfigDict(strict=True)
    partitions: list[_Entry]
    failed: dict[str, str] = {}
    nights: list[list[str]] = []
    models: dict[_ModelPath, str] = {}
    max_bad_fraction: Annotated[float, Field(ge=0, le=1)] = MAX_BAD_FRACTION
    left_out: list[_LeftOut] = []
    repeated_ids: dict[str, _Count] = {}


def _refuse_links(root: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse outputs, and folders of what lies beside them, that are elsewhere."""
    try:
        refuse_links(root, outputs=[entry["output"] for entry in manifest["partitions"]])
    except StorageError as err:
        raise DataError(str(err)) from None


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
        if leads_out(root, name):
            raise DataError(
                f"{root / name} leads out of the output folder. Remove it and run again; it is "
                "then scored again."
            )
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
