"""What ``score --dry-run`` prints: what is done, what would be scored, and why again."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.console import emit, print_table
from vae_anomaly.words import names_of, number_of, verb_for

if TYPE_CHECKING:
    from vae_anomaly.batch.preview import PlannedPart, Preview

MAX_SHOWN = 20


def show_preview(preview: Preview, *, as_json: bool) -> None:
    """Print what a run would do."""
    if emit(document_of(preview), as_json=as_json):
        return
    todo = [part for part in preview.parts if part.state != "done"]
    n_done = preview.count("done")
    click.echo(
        f"Dry run, nothing is written: {preview.model} (score above {preview.threshold:.2f}) would "
        f"score {len(todo)} of {number_of(len(preview.parts), 'part')} into {preview.place}/; "
        f"{n_done} {verb_for(n_done)} done already."
    )
    if todo:
        more = f"The first {MAX_SHOWN} of {len(todo)}" if len(todo) > MAX_SHOWN else ""
        header = ["part", "would be", "input", "files", "why"]
        print_table([_line(part) for part in todo[:MAX_SHOWN]], header, more)
    _print_beside(preview)


def _line(part: PlannedPart) -> list[str]:
    would = "scored" if part.state == "new" else "scored again"
    return [part.key, would, _size(part.size_bytes), f"{part.files:,}", "; ".join(part.why)]


def _print_beside(preview: Preview) -> None:
    from vae_anomaly.data.images.folders import told

    if preview.removed:
        n = len(preview.removed)
        click.echo(
            f"Replaced would be {names_of(preview.removed)}: {verb_for(n, 'its', 'their')} images "
            "lie in other parts now."
        )
    for line in told(preview.left_out):
        click.echo(f"{line[0].upper()}{line[1:]}.")
    if preview.running:
        click.echo("Another run is writing there now.")


def document_of(preview: Preview) -> dict[str, Any]:
    """Return a preview as a document."""
    states = Counter(part.state for part in preview.parts)
    return {
        "dry_run": True,
        **asdict(preview),
        "out": preview.place,
        "counts": {"done": states["done"], "new": states["new"], "again": states["again"]},
    }


def _size(n_bytes: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes} B"
