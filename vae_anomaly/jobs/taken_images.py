"""Say which images a training took, which it left, and what its owner should look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from vae_anomaly.data.images.folders import Selection, is_defective, names_nothing, told
from vae_anomaly.words import names_of, number_of

MOST_FOLDERS = 6  # that a note names


def what_was_taken(chosen: Selection) -> tuple[str, ...]:
    """Say from which folders images were taken, and which were left out, where any were."""
    folders = chosen.taken()
    if not chosen.left_out and len(folders) < 2:
        return ()
    named = names_of((f"{name or '.'} {n:,}" for name, n in folders.items()), MOST_FOLDERS)
    taken = f"taken as good: {number_of(len(chosen.items), 'image')} ({named})"
    return (taken, *told(chosen.left_out))


def all_taken_for_good(chosen: Selection, condition: str | None) -> tuple[str, ...]:
    """Say that folders of words that name no class, nor a condition, were all taken for good."""
    told_apart = any(item.is_anomaly is not None for item in chosen.items)
    words = [name for name in chosen.taken() if names_nothing(PurePosixPath(name).name)]
    if told_apart or len(words) < 2 or condition == "folder":
        return ()
    return (
        f"nothing in the names {names_of(words, MOST_FOLDERS)} says a class, so all are taken for "
        "good: name a folder of defects with --defect NAME",
    )


def called_defective(
    chosen: Selection, source: str | Path | Sequence[str | Path]
) -> tuple[str, ...]:
    """Warn of images that are learned as normal although the folder that was given is called bad.

    Of images that were named one by one, or by a pattern, that is the folder that they lie in.
    """
    named = [source] if isinstance(source, str | Path) else source
    given = {Path(one).absolute().name for one in named if Path(one).is_dir()}
    items = [item for item in chosen.items if item.is_anomaly is None]
    above = Counter(item.path.absolute().parent.name for item in items)
    folders = {name: n for name, n in above.items() if is_defective(name)}
    if not folders and len(given) == 1:
        folders = {name: len(items) for name in given if items and is_defective(name)}
    return tuple(
        f"{number_of(n, 'image')} of a folder called {name!r} {'is' if n == 1 else 'are'} learned "
        "as normal"
        for name, n in folders.items()
    )
