"""What of a plan is done, and which output stands for folders that are now in other partitions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vae_anomaly.batch.output.ledger import Ledger, LedgerRow
from vae_anomaly.batch.output.manifest import MANIFEST
from vae_anomaly.batch.output.results import read_quarantine
from vae_anomaly.batch.output.written import quarantine_path
from vae_anomaly.batch.plan import Output, Partition, ScoringModel, input_digest
from vae_anomaly.data.images.folders import IMAGE_SUFFIXES, LIST
from vae_anomaly.errors import ConfigError, ObjectStoreError
from vae_anomaly.files import leads_out
from vae_anomaly.names import spelled, unspelled
from vae_anomaly.storage.copies import is_there, names_in
from vae_anomaly.words import names_of, number_of, verb_for


def is_done_already(
    partition: Partition, rows: Mapping[str, LedgerRow], model: ScoringModel, output: Output
) -> bool:
    """Say whether a partition's output stands: same input, model, threshold, options, and intact.

    Output of another input, which would be lost, is a ConfigError.
    """
    row = rows.get(partition.key)
    return row is not None and next(why_again(partition, row, model, output), None) is None


def why_again(
    partition: Partition, row: LedgerRow, model: ScoringModel, output: Output
) -> Iterator[str]:
    """Say why a partition that was scored has to be scored again; nothing where it stands.

    Output of another input, which would be lost, is a ConfigError.
    """
    if row.input_sha256 != input_digest(partition):
        if row.input_path != input_path_of(partition):
            raise _other_input(output.root, row, row.input_path, input_path_of(partition))
        yield "the input has changed"
    if (row.model_version, row.model_digest) != (model.version, model.digest):
        yield f"the model is another: {row.model_version} before, {model.version} now"
    if row.threshold != model.threshold:
        yield f"the threshold is another: {row.threshold:g} before, {model.threshold:g} now"
    if row.config_sha256 != output.options.digest():
        taught = "" if output.options.learn is None else "what verdicts have taught, "
        yield f"options, {taught}or what this version writes, are others"
    if not row.is_intact(Path(output.root)):
        yield "its output is missing or was changed"


def input_path_of(partition: Partition) -> str:
    """Return the table, or the folder of the first image, as the ledger has it."""
    first = partition.files[0].origin
    return spelled(first if partition.kind == "table" else os.path.dirname(first))  # noqa: PTH120 - an address


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
        names = names_in(unspelled(folder))
    except ObjectStoreError:  # it is not known what is there
        raise
    except (OSError, ValueError):  # gone, or what no folder is called
        return False
    return any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in names)


def refuse_lost_and_double(
    plan: list[Partition], rows: Mapping[str, LedgerRow], leaving: list[LedgerRow], root: str
) -> None:
    """Refuse what would lose results of a list of images, or have an image in two files of results.

    Folders and manifests are what they hold today. A list is typed anew each time, and what was
    called a list yesterday may be images of which none is given today.
    """
    keys = {partition.key for partition in plan} | {row.key for row in leaving}
    planned = {file.origin for partition in plan for file in partition.files}
    folders = {path for partition in plan for _, path in partition.folders}
    for row in rows.values():
        own = row.folders or {row.folder: row.input_path}
        if row.kind != "images":
            continue
        if row.key in keys and row.folder.partition("/")[0] == LIST:
            lost = [path for path in _images_of(row, root) - planned if is_there(path)]
            if lost:
                raise ConfigError(
                    f"{root} holds part-{row.key}.parquet of a list of images, of which "
                    f"{names_of(sorted(map(spelled, lost)), 3)} {verb_for(len(lost))} not given; "
                    "the results would be lost. Give them as well, or choose another --out."
                )
        elif row.key not in keys and not folders.isdisjoint(own.values()):
            twice = _images_of(row, root) & planned
            if twice:
                raise ConfigError(
                    f"{root} holds {names_of(sorted(map(spelled, twice)), 3)} already, in "
                    f"part-{row.key}.parquet, and would have {verb_for(len(twice), 'it', 'them')} "
                    "twice: given now as part of something else. Give what was given before, or "
                    "choose another --out."
                )


def _images_of(row: LedgerRow, root: str) -> set[str]:
    """Return the paths of the images that an output stands for, as far as its ids are paths."""
    if leads_out(root, row.output) or leads_out(root, quarantine_path(row.key)):
        return set()
    try:
        with Path(root, row.output).open("rb") as file:
            ids = pq.read_table(file, columns=["id"])["id"].to_pylist()
    except (OSError, pa.ArrowException, KeyError):
        return set()  # a damaged one is scored again, and nothing in it can be lost
    paths = {_path_of(row, str(name)) for name in ids}
    quarantine = Path(root, quarantine_path(row.key))
    if quarantine.is_file():
        paths |= {unspelled(item.source) for item in read_quarantine(quarantine)}
    return paths


def _path_of(row: LedgerRow, identifier: str) -> str:
    """Return where an image lies: an id ends with the names of folders within what was given."""
    inside, _, name = identifier.rpartition("/")
    own = row.folders or {row.folder: row.input_path}
    ending = [one for one in own if f"/{one}".endswith(f"/{inside}")] if inside else [*own]
    folder = own[min(ending or own, key=len)]
    return f"{unspelled(folder)}/{unspelled(name)}"


def drop_orphans(plan: list[Partition], ledger: Ledger, root: Path) -> None:
    """Remove the output of `orphans`: what is scored again, or no longer there."""
    for row in orphans(plan, ledger.rows(), str(root)):
        (root / MANIFEST).unlink(missing_ok=True)
        for name in row.files:
            (root / name).unlink(missing_ok=True)
        for drawn in ("heatmaps", "masks"):
            shutil.rmtree(root / drawn / row.key, ignore_errors=True)
        ledger.forget(row.key)  # last: a run that is killed before finds its files again


def _other_input(root: str, row: LedgerRow, present: str, given: str) -> ConfigError:
    return ConfigError(
        f"{root} holds part-{row.key}.parquet of {present}; the results of {given} would replace "
        "it. Choose another --out."
    )
