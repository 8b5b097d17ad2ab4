"""What could not be scored, by reason: each code in words, with what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from vae_anomaly.batch.output.results import iter_quarantine
from vae_anomaly.batch.output.written import quarantine_path
from vae_anomaly.reports.facts.night import QuarantineGroup

EXAMPLES: Final = 20
_UNKNOWN: Final = (
    "These items could not be scored.",
    "The message of each says why; correct them and score again.",
)
WORDS: Final[Mapping[str, tuple[str, str]]] = {
    # files of images
    "missing": (
        "The file was gone or could not be opened.",
        "Check the path and who may read it, then score again.",
    ),
    "empty": ("The file holds nothing.", "Copy it again from where it was taken."),
    "truncated": (
        "The file ends before its image does: the copy broke off, or the camera was interrupted.",
        "Copy it again from where it was taken.",
    ),
    "unreadable": (
        "The file is damaged: it cannot be decoded.",
        "Copy it again from where it was taken; if the original is damaged, take the image anew.",
    ),
    "unsupported": (
        "The image is of a kind that is not read.",
        "Save it as PNG, JPEG or TIFF with one or three channels.",
    ),
    "not_an_image": (
        "The file is no image, whatever its name says.",
        "Remove it from the input, or correct its name.",
    ),
    "frames": (
        "The file holds more frames than are read.",
        "Save its frames as files of their own, or raise --max-frames.",
    ),
    "too_large": (
        "The image is larger than the limit, which protects the memory.",
        "If images of this size are wanted, raise --max-pixels or --max-bytes.",
    ),
    "memory": (
        "There was not memory enough for the image; it may be sound.",
        "Free memory, or take fewer --workers, and score again; or make the image smaller.",
    ),
    "values": (
        "Its pixels have values that no image of this kind has: not finite, or beyond its white.",
        "Look at how the camera's software saves it; --white says what is white.",
    ),
    "bit_depth": (
        "The image has another depth than those of training, and nothing says what is white.",
        "Save it as in training, or say what is white with --white.",
    ),
    "size": (
        "The image has another size than the model takes.",
        "Score images of the size of training, or train a model of their own for these.",
    ),
    "refused": (
        "The model does not take the image as it is.",
        "The message says why; give images like those of training.",
    ),
    # rows of tables
    "ragged": (
        "A line of a CSV has not as many cells as the header.",
        "Correct the line that the message names; a cell that holds a comma stands in quotes.",
    ),
    "missing_id": (
        "The row has no name: its id is empty.",
        "Fill the column of ids, or choose another with --id-column.",
    ),
    "long_id": (
        "The id of the row is longer than any id is; the column holds something else.",
        "Name the column of ids with --id-column, or correct the cell.",
    ),
    "duplicate_id": (
        "An earlier row of the file has the same id.",
        "Remove the second one, or choose a column with --id-column that names one row each.",
    ),
    "infinite": (
        "A number of the row is infinite.",
        "Look at what computes the column: a division by zero, as a rule.",
    ),
    "not_a_number": (
        "A cell of a column of numbers is none, or is written in another way than the others.",
        "Correct the export: numbers are read as they were written in training.",
    ),
    "not_a_boolean": (
        "A cell of a column of 0 and 1 is neither.",
        "Correct the export: 0 and 1, yes and no, true and false are read.",
    ),
    "not_a_time": (
        "A cell of a column of dates is none.",
        "Correct the export: write times as 2024-03-31 17:30.",
    ),
    "other_time_format": (
        "A date is written in another way than those of its column in training.",
        "Correct the export, or train again on the new way with --time-format.",
    ),
    "time_zone_name": (
        "A time names its zone in letters, which can mean several.",
        "Write +01:00, or UTC.",
    ),
    "time_out_of_range": (
        "A time lies outside the years 1 to 9999: it may count in another unit.",
        "Look at the unit of the column; write times as 2024-03-31 17:30.",
    ),
    # the model
    "nonfinite_score": (
        "The model gave no finite number.",
        "Look at the item; if it is like the others, train the model again.",
    ),
}
"""For each code what it means, and what to do."""


def quarantine_groups(
    root: Path, entries: Sequence[Mapping[str, Any]]
) -> tuple[QuarantineGroup, ...]:
    """Return what partitions of a manifest hold in quarantine by reason, the largest first.

    Raises
    ------
    DataError
        If a file of the quarantine is missing or no such file.
    """
    counts = sum((Counter(dict(entry["codes"])) for entry in entries), Counter[str]())
    examples: dict[str, list[tuple[str, str]]] = {code: [] for code in counts}
    for entry in entries:
        missing = {code for code in entry["codes"] if len(examples[code]) < EXAMPLES}
        if missing:
            _take_examples(root / quarantine_path(entry["key"]), examples)
    listed = {
        code: tuple(quarantine_path(one["key"]) for one in entries if code in one["codes"])
        for code in counts
    }
    return tuple(
        QuarantineGroup(
            code, count, *WORDS.get(code, _UNKNOWN), tuple(examples[code]), listed[code]
        )
        for code, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    )


def _take_examples(path: Path, examples: dict[str, list[tuple[str, str]]]) -> None:
    for item in iter_quarantine(path):
        some = examples.setdefault(item.code, [])
        if len(some) < EXAMPLES:
            some.append((item.source, item.message))
        elif all(len(found) >= EXAMPLES for found in examples.values()):
            return
