"""Let the output of earlier versions stand, which cut a large folder of images at every thousandth.

Those pieces are called by their number. Where all of a folder's are as they were, they stand; where
one is not, all are replaced by pieces that one image more or less does not move.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from vae_anomaly.batch.output.done import is_done_already
from vae_anomaly.batch.output.ledger import LedgerRow
from vae_anomaly.batch.plan import Output, Partition, ScoringModel, key_of_piece


def as_cut_before(
    plan: Sequence[Partition], rows: Mapping[str, LedgerRow], model: ScoringModel, output: Output
) -> list[Partition]:
    """Return the plan, with the pieces of an earlier version for each folder of which all stand."""
    kept: list[Partition] = []
    for _, group in groupby(plan, key=lambda partition: partition.folder):
        pieces = list(group)
        before = list(_numbered(pieces, output.options.images_per_partition))
        stands = any(part.key in rows for part in before[1:]) and all(
            is_done_already(part, rows, model, output) for part in before
        )
        kept += before if stands else pieces
    return kept


def _numbered(pieces: Sequence[Partition], most: int) -> Iterator[Partition]:
    """Cut the images of a folder as earlier versions did, where it has several pieces."""
    first = pieces[0]
    is_cut = first.kind == "images" and len(pieces) > 1
    files = [file for piece in pieces for file in piece.files] if is_cut else []
    for number, start in enumerate(range(0, len(files), most)):
        key = key_of_piece(first.folder, f"{number:04d}")
        yield replace(first, key=key, files=tuple(files[start : start + most]))
