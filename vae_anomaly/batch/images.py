"""Score the images of one partition, a few at a time, and draw where they are wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from vae_anomaly.batch.drift.tallies import Tallying
from vae_anomaly.batch.learning.images import (
    ImageLearning,
    as_learned,
    learned_of,
    written_rows,
)
from vae_anomaly.batch.learning.judging import schema_of, write_learned
from vae_anomaly.batch.output.results import BadItem, Counts, open_quarantine, output_schema
from vae_anomaly.batch.plan import Output, Partition, ScoringModel, SourceFile
from vae_anomaly.batch.review.drawings import render_mask, render_overlay
from vae_anomaly.batch.review.images import ScoredImage, keep_images
from vae_anomaly.batch.review.store import ReviewKeeper, most_of
from vae_anomaly.data.images.decode import ImageReading, Pixels, decode_image
from vae_anomaly.data.images.marked import save_marked
from vae_anomaly.detectors.judged import JudgedImages, decoded_blocks, judge_images
from vae_anomaly.files import remove_file, replace_file
from vae_anomaly.names import spelled, unlike
from vae_anomaly.progress import Progress
from vae_anomaly.scoring.judging import Fault, faults_in, one_by_one
from vae_anomaly.storage.addresses import with_addresses

if TYPE_CHECKING:
    from vae_anomaly.detectors.protocol import ImageDetector

DRAWN = ("heatmaps", "masks")  # folders of images that are written
MAX_DRAWN_BYTES = 238  # of a name, so that its temporary file has one that disks take
IMAGE_SCHEMA = output_schema(pa.field("heatmap", pa.string()), pa.field("mask", pa.string()))


class Row(TypedDict):
    """One line of the output file."""

    id: str
    score: float
    p_value: float
    is_anomaly: bool
    heatmap: str | None
    mask: str | None
    model_version: str
    threshold: float


def score_image_files(
    partition: Partition,
    model: ScoringModel,
    output: Output,
    detector: ImageDetector,
    progress: Progress,
) -> tuple[Counts, list[str]]:
    """Score a partition of images and commit its output; return the names of its files as well."""
    root, key = Path(output.root), partition.key
    for kind in DRAWN:  # of an earlier run over other images
        shutil.rmtree(root / kind / key, ignore_errors=True)
    learn = output.options.learn
    learning = None if learn is None else ImageLearning(learn, model, detector)
    rows: list[dict[str, Any]] = []
    names = _drawn_names(partition)
    part = root / output.part(key)

    def draw(one: ScoredImage) -> Row:
        return _answer(one, model, output, detector.heat_level_, f"{key}/{names[one.file.id]}")

    with replace_file(part) as temporary, open_quarantine(root, key) as keep:
        tally = Tallying(detector)
        counts = Counts(_counted(keep, tally))
        reading, keeper = output.options.reading, ReviewKeeper(most_of(len(partition.files)))
        for files, decoded in decoded_blocks(partition.files, _decoder(detector, reading)):
            scored, judged = _score(files, decoded, detector, reading, counts)
            learned, own = learned_of(learning, scored, judged), {one.place: one for one in scored}
            seen = _draw(as_learned(scored, learned), draw, counts)
            heatmaps = [row["heatmap"] for _, row in seen]
            lost = keep_images(keeper, [one for one, _ in seen], judged, detector, heatmaps)
            seen = _without(lost, seen, root, counts)
            tally.take_images([own[one.place] for one, _ in seen])  # as the detector flags them
            rows += written_rows(learning, seen, learned)
            counts.rows_in += len(files)
            progress("images", counts.rows_in, len(partition.files))
            del decoded, scored, judged, seen, learned, own  # before the next ones are decoded
        partition.check_unchanged()
        kept = [*keeper.write(root, key), *tally.write(root, key)]
        kept += write_learned(learning, root, key)
        table = pa.Table.from_pylist(rows, schema=schema_of(IMAGE_SCHEMA, learn))
        with temporary.open("wb") as file:  # Arrow opens no name that is not UTF-8
            pq.write_table(table, file, compression="zstd")
    counts.rows_out = len(rows)
    counts.rows_flagged = sum(bool(row["is_anomaly"]) for row in rows)
    written = [path for row in rows if (path := row["heatmap"])]
    written += [path for row in rows if (path := row["mask"])]
    return counts, [part.name, *counts.quarantine(key), *kept, *written]


def _decoder(detector: ImageDetector, reading: ImageReading) -> Callable[[SourceFile], Pixels]:
    """Return what decodes a file, and refuses one of another depth than the model's."""
    limits = reading.limits(tiled=detector.tile_size is not None)

    def decoded(file: SourceFile) -> Pixels:
        pixels = decode_image(file.path, limits=limits)
        detector.on_scale(pixels, file.path, reading.white)  # refused by its name
        return pixels

    return decoded


def _score(
    files: Sequence[SourceFile],
    decoded: Sequence[Pixels | Fault],
    detector: ImageDetector,
    reading: ImageReading,
    counts: Counts,
) -> tuple[list[ScoredImage], JudgedImages]:
    """Score a few images; note those that cannot be decoded, then those that have no score."""
    _set_aside(files, faults_in(decoded), counts)
    sound = [
        (file, pixels)
        for file, pixels in zip(files, decoded, strict=True)
        if not isinstance(pixels, Fault)
    ]
    conditions = [file.condition for file, _ in sound] if detector.condition else None
    judged = judge_images(detector, [pixels for _, pixels in sound], conditions, reading)
    verdicts = judged.verdicts
    _set_aside([file for file, _ in sound], verdicts.faults, counts)
    scored = [
        ScoredImage(
            file,
            detector.on_scale(pixels, file.path, reading.white),
            heat,
            float(verdicts.score[i]),
            float(verdicts.p_value[i]),
            bool(verdicts.is_anomaly[i]),
            i,
        )
        for i, ((file, pixels), heat) in enumerate(zip(sound, judged.heatmaps, strict=True))
        if heat is not None and verdicts.faults[i] is None
    ]
    return scored, judged


def _counted(keep: Callable[[BadItem], None], tally: Tallying) -> Callable[[BadItem], None]:
    """Return what keeps an image that was not scored, and counts it."""

    def kept(item: BadItem) -> None:
        keep(item)
        tally.take_lost(item)

    return kept


def _set_aside(files: Sequence[SourceFile], faults: Sequence[Fault | None], counts: Counts) -> None:
    for file, fault in zip(files, faults, strict=True):
        if fault is not None:
            counts.set_aside(
                BadItem(file.id, fault.code, with_addresses(fault.message), spelled(file.origin))
            )


def _draw(
    scored: Sequence[ScoredImage], draw: Callable[[ScoredImage], Row], counts: Counts
) -> list[tuple[ScoredImage, Row]]:
    """Return images with their rows; those that memory does not suffice to draw are set aside."""
    answers = one_by_one(scored, draw)
    _set_aside([one.file for one in scored], faults_in(answers), counts)
    pairs = zip(scored, answers, strict=True)
    return [(one, answer) for one, answer in pairs if not isinstance(answer, Fault)]


def _without(
    lost: Sequence[Fault | None],
    seen: Sequence[tuple[ScoredImage, Row]],
    root: Path,
    counts: Counts,
) -> list[tuple[ScoredImage, Row]]:
    """Set those aside that have a fault after all, and remove what was drawn of them."""
    _set_aside([one.file for one, _ in seen], lost, counts)
    for (_, row), fault in zip(seen, lost, strict=True):
        if fault is not None:
            _remove_drawn(root, [row["heatmap"], row["mask"]])
    return [pair for pair, fault in zip(seen, lost, strict=True) if fault is None]


def _remove_drawn(root: Path, names: Sequence[str | None]) -> None:
    for name in names:
        if name is not None:
            remove_file(root / name)


def _drawn_names(partition: Partition) -> dict[str, str]:
    """Return by its id what the drawings of each image are called: readable, short, no two alike.

    Where a partition has several folders, they stand before the name.
    """
    ids = [file.id for file in partition.files]
    inside = [identifier.rpartition("/")[2] for identifier in ids]
    if len(partition.folders) > 1:
        inside = [identifier.replace("/", "__") for identifier in ids]
    plain = [name.replace("\\", "%") for name in inside]  # which divides folders in Windows
    return dict(zip(ids, unlike(plain, ids, MAX_DRAWN_BYTES, ".png"), strict=True))


def _answer(one: ScoredImage, model: ScoringModel, output: Output, level: float, name: str) -> Row:
    """Return the row of an image, and draw what is wanted of it."""
    drawn = output.options.heatmaps, output.options.masks
    wanted = [which == "all" or (which == "flagged" and one.is_anomaly) for which in drawn]
    names = [f"{kind}/{name}" if it else None for kind, it in zip(DRAWN, wanted, strict=True)]
    try:
        for path, render_one in zip(names, (render_overlay, render_mask), strict=True):
            if path is not None:
                with replace_file(Path(output.root) / path) as temporary:
                    save_marked(render_one(one.pixels, one.heat, level=level), temporary)
    except (MemoryError, RuntimeError):  # what follows is about this image alone
        _remove_drawn(Path(output.root), names)
        raise
    return {
        "id": one.file.id,
        "score": one.score,
        "p_value": one.p_value,
        "is_anomaly": one.is_anomaly,
        "heatmap": names[0],
        "mask": names[1],
        "model_version": model.version,
        "threshold": model.threshold,
    }
