"""How pixels are stored: grey beside colour, 16 beside 8 bits, transparency, unused bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from vae_anomaly.data.doctor.looks import Look
from vae_anomaly.data.doctor.report import Finding, Severity, finding
from vae_anomaly.data.images.bit_depth import FULL_SCALE, white_level


def modes(good: Sequence[Look]) -> Iterator[Finding]:
    """Report everything about the way of storing that changes what a model sees."""
    yield from _mixed(good)
    yield from _transparent(good)
    yield from _unused_bits(good)
    yield from _lost_bits(good)


def _mixed(good: Sequence[Look]) -> Iterator[Finding]:
    kinds = Counter(map(_kind, good))
    if len(kinds) < 2:
        return
    usual = kinds.most_common(1)[0][0]
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    depths = {look.deep for look in good}
    yield finding(
        Severity.WARNING if len(depths) > 1 else Severity.INFO,
        "mixed_modes",
        f"Pictures are stored in several ways: {shown}.",
        "Check that all come from one kind of camera; if not, train one model for each. "
        + ("Save all with the same number of bits: white is 255 in some and more in others. "
           if len(depths) > 1 else "")
        + "A model sees colour where a fifth of its pictures show some, else grey.",
        [look.item.id for look in good if _kind(look) != usual],
    )  # fmt: skip


def _kind(look: Look) -> str:
    """Name how a picture is stored as far as it matters."""
    mode = look.info.mode if look.info else ""
    if look.deep:
        return "16-bit grey"
    if mode in {"1", "L", "LA", "La"}:
        return "8-bit grey"
    return "colour" if look.colourful else "grey stored as colour"


def _transparent(good: Sequence[Look]) -> Iterator[Finding]:
    names = [look.item.id for look in good if look.info and look.info.mode[-1:] in {"A", "a"}]
    if names:
        yield finding(
            Severity.WARNING if len(names) < len(good) else Severity.INFO,
            "transparency",
            f"Pictures with a transparency channel: {len(names)} of {len(good)}. What is "
            "transparent is read as white.",
            "Save all of them without it, from the same program.",
            names,
        )


def _unused_bits(good: Sequence[Look]) -> Iterator[Finding]:
    """Report pictures of 16 bits that come from a camera of fewer."""
    deep = [look for look in good if look.deep]
    peak = max((look.peak for look in deep), default=0)
    white = white_level(peak)
    if deep and white < FULL_SCALE:
        yield finding(
            Severity.INFO,
            "unused_bits",
            f"Pictures of 16 bits: {len(deep)}; the brightest pixel of all is {peak}, so that "
            f"white is taken to be {white} ({white.bit_length()} bits).",
            "Nothing, if that is the camera. A model keeps the white of its training pictures, and "
            "brighter pixels in later pictures count as white: train on some of each exposure.",
        )


def _lost_bits(good: Sequence[Look]) -> Iterator[Finding]:
    names = [look.item.id for look in good if _is_deep_colour(look.item.path)]
    if names:
        yield finding(
            Severity.INFO,
            "lost_bits",
            f"Colour PNGs of 16 bits a channel, of which 8 are read: {len(names)}.",
            "Nothing, unless defects are fainter than 1 in 256: then save them in grey.",
            names,
        )


def _is_deep_colour(path: Path) -> bool:
    """Tell a PNG of 16-bit colour by its header."""
    try:
        with path.open("rb") as file:
            head = file.read(26)
    except OSError:
        return False
    return head.startswith(b"\x89PNG") and head[24:26] in {b"\x10\x02", b"\x10\x06"}
