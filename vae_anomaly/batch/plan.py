"""What is to be done, and with what: the partitions of the input, the model and the options.

A partition is the unit of work, of commit and of the output. A table file is one. Images are cut
by folder, folders into pieces of at most a thousand, and small folders are joined. The key
of a partition names its output, so it follows from names alone: short enough for every disk, where
a long name is cut and gets a digest. All of it is small, frozen and picklable.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from vae_anomaly.batch.folders import Piece, pieces
from vae_anomaly.batch.learning.options import LearnOptions
from vae_anomaly.batch.output.written import part_path
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.data.images.folders import ImageListing, condition_of, scan_images
from vae_anomaly.data.tables.files import (
    list_files,
    partition_folders,
    without_suffixes,
)
from vae_anomaly.errors import ConfigError, DataError, ModelRefusedError
from vae_anomaly.files import sha256_of
from vae_anomaly.names import alike, bounded, marked, spelled
from vae_anomaly.persistence import model_digest
from vae_anomaly.storage.addresses import with_addresses
from vae_anomaly.storage.digests import recalled_digests, remember_digests
from vae_anomaly.storage.later import present

if TYPE_CHECKING:
    from vae_anomaly.detectors.protocol import AnyDetector

Source = str | Path | Sequence[str | Path]
Kind = Literal["table", "images"]
DrawnFor = Literal["flagged", "all", "none"]
"""Which images something is drawn for."""

IMAGES_PER_PARTITION = 1000
MAX_KEY_BYTES = 225
"""Of a key, so that ``.part-<key>.parquet.<process>.partial`` is a name that disks take."""
LAYOUT_VERSION = 4
"""Goes up when the same model and input would give other output files."""


@dataclass(frozen=True)
class SourceFile:
    """One input file as it was when the run was planned."""

    id: str  # of an image; of a table, its path below the input
    path: str  # absolute
    size_bytes: int
    mtime_ns: int
    condition: str | None = None  # what an image shows, for a conditional model
    entities: tuple[str | None, ...] = ()  # of an image: its value of each column to learn by

    @property
    def origin(self) -> str:
        """The path; of what was fetched the address, which results name."""
        return with_addresses(self.path)


@dataclass(frozen=True)
class Partition:
    """A piece of the input that becomes one output file.

    Parameters
    ----------
    key : str
        Names the output: ``part-<key>.parquet``.
    folder : str
        What it is a piece of; pieces of one folder share it. Of several small folders the first.
    files : tuple of SourceFile
        One for a table.
    folders : tuple of (str, str)
        Of images: name and absolute path of each folder.
    """

    key: str
    kind: Kind
    folder: str
    files: tuple[SourceFile, ...]
    folders: tuple[tuple[str, str], ...] = ()

    @property
    def size_bytes(self) -> int:
        """Size of all its files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def paths(self) -> list[str]:
        """Where its files lie."""
        return [file.path for file in self.files]

    def check_unchanged(self) -> None:
        """Refuse an input that was changed since the run was planned.

        Raises
        ------
        DataError
            If a file has another size or time, or is gone.
        """
        for file in self.files:
            if _stat(file.path) != (file.size_bytes, file.mtime_ns):
                raise DataError(
                    f"{file.path} was changed while it was scored. "
                    "Run again when nothing writes to it any more."
                )


@dataclass(frozen=True)
class ScoringModel:
    """The one model of a run, pinned.

    Parameters
    ----------
    path : str
        Verified model directory on this machine.
    digest : str
        SHA-256 of its list of digests.
    kind : str
        ``"tabular"`` or ``"image"``.
    version : str
        What to write into the results: ``cards/3``, or ``folder:`` and the digest's beginning.
    threshold : float
        Flag when the anomaly score is above.
    device : str
        Where it computes. No part of what makes a result out of date: scores agree.
    """

    path: str
    digest: str
    kind: str
    version: str
    threshold: float
    device: str = "cpu"


@dataclass(frozen=True)
class Options:
    """What else shapes the output files.

    Parameters
    ----------
    id_column : str, optional
        Column of a table that names a row; by default the schema's, else file and row number.
    heatmaps, masks : {"flagged", "all", "none"}
        Which images get one.
    batch_rows : int
        Rows read and scored at a time; it bounds the memory.
    images_per_partition : int
    reading : ImageReading
        Limits of images, and what is white in them.
    group_by : str, optional
        Column of a table whose values are watched one by one.
    learn : LearnOptions, optional
        What is kept to learn from, and by what items are ranked.
    """

    id_column: str | None = None
    heatmaps: DrawnFor = "flagged"
    masks: DrawnFor = "flagged"
    batch_rows: int = 8192
    images_per_partition: int = IMAGES_PER_PARTITION
    reading: ImageReading = field(default_factory=ImageReading)
    group_by: str | None = None
    learn: LearnOptions | None = None

    def __post_init__(self) -> None:
        for name in ("heatmaps", "masks"):
            if getattr(self, name) not in ("flagged", "all", "none"):
                raise ConfigError(
                    f"{name} is flagged, all or none; got {getattr(self, name)!r}. "
                    "Choose one of them."
                )
        for name in ("batch_rows", "images_per_partition"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}.")

    def digest(self) -> str:
        """Return a SHA-256 of everything here and of the layout of the output."""
        values = {**asdict(self), "layout": LAYOUT_VERSION}
        if self.group_by is None:
            del values["group_by"]  # as before there were groups: what is done stays done
        if self.learn is None:
            del values["learn"]
        else:
            values["learn"] = self.learn.facts()
        return sha256_of(json.dumps(values, sort_keys=True))


@dataclass(frozen=True)
class Output:
    """Where a partition's files go.

    Parameters
    ----------
    root : str
        The output folder.
    options : Options
    run : str
        The run that holds the folder, without which nothing is written; empty where none has to.
    """

    root: str
    options: Options = Options()
    run: str = ""

    def part(self, key: str) -> str:
        """Return the name of the output file of a partition, below the root."""
        return part_path(key)


@lru_cache(maxsize=1)
def loaded_detector(model: ScoringModel) -> AnyDetector:
    """Load the model once a process; refuse a directory that has changed since the run began."""
    from vae_anomaly.detectors import load_detector

    digest = model_digest(Path(model.path))
    if digest != model.digest:
        raise ModelRefusedError(
            f"The model in {model.path} was replaced while it was used: digest {digest[:12]}, was "
            f"{model.digest[:12]}. Start again."
        )
    return load_detector(model.path, device=model.device)


def plan_tables(source: Source) -> list[Partition]:
    """Make one partition of each table file.

    A file is called by its name, in a folder by its path below the folder, and with the folders of
    Hive that it lies in: ``date=2024-03-01/part-0.parquet``. Where files of several folders would
    be called alike, the names of these folders tell them apart.

    Parameters
    ----------
    source : path, glob, folder, or list of these

    Raises
    ------
    DataError
        If there is no table.
    ConfigError
        If two files would give the same output.
    """
    partitions = []
    for path, name in named_tables(source):
        key = bounded(_key(spelled(without_suffixes(name).as_posix())), MAX_KEY_BYTES)
        source_file = _source_file(spelled(name.as_posix()), path)
        folder = spelled(name.parent.as_posix())
        partitions.append(Partition(key, "table", folder, (source_file,)))
    return _distinct(partitions)


def named_tables(source: Source) -> list[tuple[Path, Path]]:
    """List table files, each with what it is called, as `plan_tables` says."""
    is_one = isinstance(source, str | Path)
    files = list_files(source if isinstance(source, str | Path) else list(source))
    names = [_with_hive(file.path, file.name if is_one else Path(file.name.name)) for file in files]
    if len({without_suffixes(name) for name in names}) < len(names):
        names = [_with_hive(file.path, file.folder / file.name) for file in files]
    return [(file.path, name) for file, name in zip(files, names, strict=True)]


def plan_images(
    source: Source | ImageListing,
    *,
    per_partition: int = IMAGES_PER_PARTITION,
    condition: str | None = None,
    entities: Sequence[str] = (),
) -> list[Partition]:
    """Cut images into partitions of at most ``per_partition`` images, of one or of small folders.

    Every image of the source is taken, whatever its folders are called.

    Parameters
    ----------
    source : folder, manifest, image, pattern, list of these, or a listing of one of these
    condition : str, optional
        Where each image's condition is told: "folder" or a column of the manifest.
    entities : sequence of str
        Where the entities that images are learned by are told: the same.

    Raises
    ------
    DataError
        If there is no image.
    """
    listing = source if isinstance(source, ImageListing) else scan_images(source)
    taken: dict[str, str] = {}
    partitions = []
    for piece in pieces(listing.items, per_partition):
        key = key_of_piece(piece.folder, piece.mark)
        if taken.setdefault(alike(key), piece.folder) != piece.folder:  # folders A and a
            key = marked(_key(piece.folder), piece.folder, MAX_KEY_BYTES, f"-{piece.mark}")
        partitions.append(_image_partition(key, piece, condition, entities))
    return partitions


def key_of_piece(folder: str, mark: str) -> str:
    """Return the key of a piece of a folder of images."""
    return bounded(_key(folder), MAX_KEY_BYTES, f"-{mark}")


def _image_partition(
    key: str, piece: Piece, condition: str | None, entities: Sequence[str]
) -> Partition:
    files = tuple(
        _source_file(
            item.id,
            item.path,
            None if condition is None else condition_of(item, condition),
            tuple(condition_of(item, entity) for entity in entities),
        )
        for item in piece.items
    )
    folders: dict[str, str] = {}
    for item, file in zip(piece.items, files, strict=True):
        folders.setdefault(item.place, spelled(os.path.dirname(file.origin)))  # noqa: PTH120 - many
    return Partition(key, "images", piece.folder, files, tuple(folders.items()))


def input_digest(partition: Partition) -> str:
    """Return one SHA-256 for names, contents and conditions of a partition's files."""
    digests = _digests_of(partition)
    if partition.kind == "table":
        return digests[partition.files[0].path]
    return sha256_of(
        *(
            f"{digests[file.path]}  {file.id}"
            + (f"  {file.condition}" if file.condition is not None else "")
            + "".join(f"  {value}" for value in file.entities)
            + "\n"
            for file in partition.files
        )
    )


def _digests_of(partition: Partition) -> dict[str, str]:
    """Return the SHA-256 of each file by its path; of copies that were seen before none is read."""
    digests = recalled_digests(partition.paths)
    with present(path for path in partition.paths if path not in digests):
        digests |= {
            file.path: _digest_of(file) for file in partition.files if file.path not in digests
        }
    remember_digests(digests)
    return digests


def _digest_of(file: SourceFile) -> str:
    try:
        if not stat.S_ISREG(Path(file.path).stat().st_mode):
            return "unreadable: no regular file"  # a pipe would keep its reader waiting
        return sha256_of(Path(file.path))
    except OSError as err:
        return f"unreadable: {err.strerror}"  # an image that is quarantined; a table is refused


def _source_file(
    name: str,
    path: Path,
    condition: str | None = None,
    entities: tuple[str | None, ...] = (),
) -> SourceFile:
    where = os.path.abspath(path)  # noqa: PTH100 - keeps links
    return SourceFile(name, where, *_stat(str(path)), condition, entities)


def _stat(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return (-1, -1)
    return (found.st_size, found.st_mtime_ns)


def _with_hive(path: Path, name: Path) -> Path:
    """Return a file's name with all the folders that tell columns of it."""
    folders = partition_folders(path)
    return name if len(name.parts) > len(folders) else Path(*folders, path.name)


def _key(name: str) -> str:
    """Turn a relative path into a file name; every character that is not plain is spelt out."""
    parts = [part for part in PurePosixPath(name).parts if part not in {"/", "."}]
    plain = "__".join(parts)
    return re.sub(r"[^\w.=+-]", lambda match: f"%{ord(match[0]):X}", plain, flags=re.ASCII)


def _distinct(partitions: list[Partition]) -> list[Partition]:
    """Refuse two inputs for one output, also on file systems that ignore case."""
    by_key: dict[str, Partition] = {}
    for partition in partitions:
        other = by_key.setdefault(partition.key.lower(), partition)
        if other is not partition:
            raise ConfigError(
                f"{partition.files[0].path} and {other.files[0].path} would both become "
                f"part-{partition.key}.parquet. Rename one of them, or score each into a "
                "folder of its own with --out."
            )
    return partitions
