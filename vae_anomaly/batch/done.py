"""What of a plan is done, and which output stands for folders that are now in other partitions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from vae_anomaly.batch.ledger import Ledger, LedgerRow
from vae_anomaly.batch.plan import Output, Partition, ScoringModel, input_digest
from vae_anomaly.batch.results import MANIFEST
from vae_anomaly.data.images.folders import IMAGE_SUFFIXES
from vae_anomaly.errors import ConfigError
from vae_anomaly.names import spelled, unspelled
from vae_anomaly.words import names_of, number_of, verb_for


def is_done_already(
    partition: Partition, rows: Mapping[str, LedgerRow], model: ScoringModel, output: Output
) -> bool:
    """Say whether a partition's output stands: same input, model, threshold, options, and intact.

    Output of another input, which would be lost, is a ConfigError.
    """
    row = rows.get(partition.key)
    if row is None:
        return False
    same_input = row.input_sha256 == input_digest(partition)
    if not same_input and row.input_path != input_path_of(partition):
        raise _other_input(output.root, row, row.input_path, input_path_of(partition))
    wanted = (model.version, model.digest, model.threshold, output.options.digest())
    present = (row.model_version, row.model_digest, row.threshold, row.config_sha256)
    return same_input and wanted == present and row.is_intact(Path(output.root))


def input_path_of(partition: Partition) -> str:
    """Return the table, or the folder of the first image, as the ledger has it."""
    first = Path(partition.files[0].path)
    return spelled(str(first if partition.kind == "table" else first.parent))


def orphans(plan: list[Partition], rows: Mapping[str, LedgerRow], root: str) -> list[LedgerRow]:
    """Return what stands for folders of images that now lie in other partitions.

    A folder has fewer pieces than before, or small folders are grouped otherwise. It is a
    ConfigError where it is the output of folders that lie elsewhere, and are only called alike, and
    where folders that were scored together are given in part: the results of the others would go.
    """
    keys = {partition.key for partition in plan}
    planned = {name: path for partition in plan for name, path in partition.folders}
    orphans = []
    for row in rows.values():
        own = row.folders or {row.folder: row.input_path}
        shared = own.keys() & planned.keys()
        if row.kind != "images" or not shared:
            continue
        if row.key not in keys and all(own[name] != planned[name] for name in shared):
            name = min(shared)
            raise _other_input(root, row, own[name], planned[name])
        left = [path for name, path in own.items() if name not in planned and _has_images(path)]
        if left:
            raise ConfigError(
                f"{root} holds part-{row.key}.parquet of {number_of(len(own), 'small folder')}, of "
                f"which {names_of(left, 3)} {verb_for(len(left))} not given; the results would be "
                "lost. Give all of them, or choose another --out."
            )
        if row.key not in keys:
            orphans.append(row)
    return orphans


def _has_images(folder: str) -> bool:
    try:
        names = os.listdir(unspelled(folder))  # noqa: PTH208 - names alone
    except OSError:
        return False
    return any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in names)


def drop_orphans(plan: list[Partition], ledger: Ledger, root: Path) -> None:
    """Remove the output of `orphans`: what is scored again, or no longer there."""
    for row in orphans(plan, ledger.rows(), str(root)):
        (root / MANIFEST).unlink(missing_ok=True)
        ledger.forget(row.key)
        for name in row.files:
            (root / name).unlink(missing_ok=True)
        for drawn in ("heatmaps", "masks"):
            shutil.rmtree(root / drawn / row.key, ignore_errors=True)


def _other_input(root: str, row: LedgerRow, present: str, given: str) -> ConfigError:
    return ConfigError(
        f"{root} holds part-{row.key}.parquet of {present}; the results of {given} would replace "
        "it. Choose another --out."
    )
