"""Change a file a little, as faulty tools and hostile people do, for `fuzz.py`."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

WORDS = (
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"NaN", b"inf", b"-1e999", b"1e308", b"9" * 12,
    b"-1", b"0", b"null", b'"', b"'", b",", b";", b"\t", b"\n", b"\r\n", b"\r", b"=1+1", b"../..",
    b"9999-12-31", b"0000-00-00", b"\xc3\x28", b"\xed\xa0\x80", b"\\ud800", b"[[[[[[[[", b"{", b"}",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 10**9, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e300, -1e300,
    "", "nonsense", "NaN", "\x00", "\ud800", "../../x", "/etc/passwd", "1" * 5000, [], {}, [[]],
    1e-320, [0], [0.0] * 50, {"a": 1}, {"": None},
)  # fmt: skip


def changed_bytes(data: bytes, dice: random.Random) -> bytes:
    """Return the bytes after one to four changes."""
    content = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        dice.choice(_ON_BYTES)(content, dice)
    return bytes(content)


def _flip(content: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 1, 8))):
        if content:
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)


def _noise(content: bytearray, dice: random.Random) -> None:
    start, n = _span(content, dice)
    content[start : start + n] = dice.randbytes(n)


def _cut(content: bytearray, dice: random.Random) -> None:
    del content[dice.randrange(len(content) + 1) :]


def _remove(content: bytearray, dice: random.Random) -> None:
    start, n = _span(content, dice)
    del content[start : start + n]


def _double(content: bytearray, dice: random.Random) -> None:
    start, n = _span(content, dice)
    at = dice.randrange(len(content) + 1)
    content[at:at] = content[start : start + n]


def _say(content: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(content) + 1)
    content[at : at + dice.choice((0, 0, 1, 4))] = dice.choice(WORDS)


def _count(content: bytearray, dice: random.Random) -> None:
    """Write an unlikely number where a size may stand."""
    at, n = dice.randrange(len(content) + 1), dice.choice((1, 2, 4, 8))
    number = dice.choice((0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**63 - 1))
    content[at : at + n] = (number % 256**n).to_bytes(n, dice.choice(("little", "big")))


_ON_BYTES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _flip, _noise, _cut, _remove, _double, _say, _say, _count, _count,
)  # fmt: skip


def _span(content: bytearray, dice: random.Random) -> tuple[int, int]:
    return dice.randrange(len(content) + 1), dice.choice((1, 2, 4, 16, 64, 256))


def changed_lines(data: bytes, dice: random.Random) -> bytes:
    """Return a text of cells in which some cells, or lines, are others."""
    if dice.random() < 0.3:
        return changed_bytes(data, dice)
    lines = data.split(b"\n")
    for _ in range(dice.choice((1, 1, 3, 10))):
        at = dice.randrange(len(lines))
        cells = lines[at].split(b",")
        cells[dice.randrange(len(cells))] = dice.choice((*WORDS, *cells))
        lines[at] = b",".join(cells)
        if dice.random() < 0.1:
            lines.insert(at, dice.choice(lines))
    return b"\n".join(lines)


def changed_document(document: Any, dice: random.Random) -> Any:
    """Return JSON values of which one or two are others, missing, or in another's place."""
    whole = [copy.deepcopy(document)]
    for _ in range(dice.choice((1, 1, 1, 2))):
        holder, key = dice.choice(_places(whole))
        what = dice.random()
        if what < 0.15 and holder is not whole:
            del holder[key]
        elif what < 0.35:
            holder[key] = _nudged(holder[key], dice)
        elif what < 0.5:
            other, its_key = dice.choice(_places(whole))
            holder[key] = copy.deepcopy(other[its_key])
        elif what < 0.55:
            _add(holder, key, dice)
        else:
            holder[key] = dice.choice(VALUES)
    return whole[0]


def _nudged(value: Any, dice: random.Random) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float) and abs(value) < 1e300:
        return dice.choice((value + 1, value - 1, -value, value * 1000, value / 3, str(value)))
    if isinstance(value, str):
        return dice.choice((value.upper(), value + "x", value[:-1], value * 3))
    if isinstance(value, list):
        return dice.choice((value[:-1], value + value[:1], value[::-1], value * 2))
    return dict(list(value.items())[::2]) if isinstance(value, dict) else 0


def _add(holder: Any, key: Any, dice: random.Random) -> None:
    if isinstance(holder, dict):
        holder[f"{key}x"] = dice.choice(VALUES)
    else:
        holder.append(dice.choice(VALUES))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every value as what holds it and its key there; of long lists a few."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys[:40]:
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
    return found


def changed_json(data: bytes, dice: random.Random) -> bytes:
    """Return a text of JSON of which values, or sometimes signs, are others."""
    what = dice.random()
    if what < 0.25:
        return changed_bytes(data, dice)
    if what < 0.28:
        return b"[" * dice.choice((1_000, 100_000)) + data
    return json.dumps(changed_document(json.loads(data), dice)).encode()


def changed_json_lines(data: bytes, dice: random.Random) -> bytes:
    """Return lines of JSON of which one or more are changed as `changed_json` does it."""
    lines = data.splitlines()
    for _ in range(dice.choice((1, 1, 4))):
        at = dice.randrange(len(lines))
        if lines[at].startswith((b"{", b"[")) and lines[at].endswith((b"}", b"]")):
            try:
                lines[at] = changed_json(lines[at], dice)
            except (ValueError, RecursionError):
                lines[at] = changed_bytes(lines[at], dice)
    return b"\n".join(lines)


def changed_tensors(data: bytes, dice: random.Random) -> bytes:
    """Return a safetensors file with another header, other numbers, or other bytes."""
    size = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + size], data[8 + size :]
    what = dice.random()
    if what < 0.2:
        return changed_bytes(data, dice)
    if what < 0.6:
        text = json.dumps(changed_document(json.loads(header), dice)).encode()
        return len(text).to_bytes(8, "little") + text + body
    numbers = bytearray(body)
    for _ in range(dice.choice((1, 4, 64))):
        at = 4 * dice.randrange(len(numbers) // 4) if len(numbers) >= 4 else 0
        numbers[at : at + 4] = dice.choice(_FLOATS)
    return data[: 8 + size] + bytes(numbers[: len(body)])


_FLOATS = tuple(
    number.to_bytes(4, "little")
    for number in (
        0x7FC00000,
        0x7F800000,
        0xFF800000,
        0x7F7FFFFF,
        0xFF7FFFFF,
        0x00000001,
        0,
        0x3F800000,
    )
)  # NaN, the infinities, the largest and the smallest floats, 0 and 1
