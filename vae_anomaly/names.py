r"""Spell names of files so that every program can read them, and keep them short enough for disks.

A file system keeps names as bytes. Those that are no UTF-8, as a camera with Windows-1252 writes
them, are spelled ``Pr\xFCfling.jpg``; so are control characters, which would break a line. A
backslash that would read as such a spelling is spelled itself (``\x5C``), so that `unspelled`
returns the very name. All other names stay what they are.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from shlex import quote
from typing import Final

MAX_NAME_BYTES: Final = 255  # of one name, on nearly every file system
_DIGEST: Final = 12  # hexadecimal digits: two of a million names share one once in 500 times
_ESCAPE: Final = re.compile(r"\\(?=x[0-9A-F]{2}|u[0-9A-F]{4})")
_ESCAPED: Final = re.compile(r"\\(?:x([0-9A-F]{2})|u([0-9A-F]{4}))")
_UNREADABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def spelled(name: str) -> str:
    r"""Return a name or path as readable text of one line, in one spelling and reversibly.

    Examples
    --------
    >>> spelled("Pr\udcfcfling.jpg")
    'Pr\\xFCfling.jpg'
    >>> spelled("Prüfling.jpg")
    'Prüfling.jpg'
    """
    if name.isprintable() and "\\" not in name:
        return name
    return "".join(map(_sign, _ESCAPE.sub(r"\\x5C", name)))


def unspelled(text: str) -> str:
    r"""Return the name that was spelled, as the file system knows it.

    Examples
    --------
    >>> unspelled("Pr\\xFCfling.jpg") == "Pr\udcfcfling.jpg"
    True
    """

    def sign(match: re.Match[str]) -> str:
        byte, character = match.groups()
        if byte is None:
            return chr(int(character, 16))
        code = int(byte, 16)
        return chr(code if code < 0x80 else 0xDC00 + code)

    return _ESCAPED.sub(sign, text)


def as_windows_reads(name: str) -> str:
    r"""Return a name whose bytes are no UTF-8 as the words that it has in Windows-1252.

    Examples
    --------
    >>> as_windows_reads("D\udce9faut")
    'Défaut'
    """
    if not any("\udc80" <= character <= "\udcff" for character in name):
        return name
    return name.encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def legible(text: str) -> str:
    r"""Spell what no encoding has in a text that names files; everything else stays.

    Examples
    --------
    >>> legible("night/Pr\udcfcfling.jpg is empty.\nCopy it again.")
    'night/Pr\\xFCfling.jpg is empty.\nCopy it again.'
    """
    if text.isascii():
        return text
    return "".join(_sign(c) if unicodedata.category(c) == "Cs" else c for c in text)


def printable(text: str, *, lines: bool = True) -> str:
    r"""Spell what a terminal would obey, and what no encoding has, in a text for people.

    Ends of lines and tabs stay, unless it is to be one line.

    Examples
    --------
    >>> printable("shop \x1b[31mred\nnext")
    'shop \\x1B[31mred\nnext'
    """
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(c if c in kept else _sign(c) for c in text)


def shown_source(source: str | Path | Sequence[str | Path]) -> str:
    """Say where things were read from.

    Examples
    --------
    >>> shown_source("night/"), shown_source(["cam1", "cam2"])
    ('night/', '2 inputs, cam1 to cam2')
    """
    if isinstance(source, str | Path):
        return printable(str(source), lines=False)
    if len(source) == 1:
        return printable(str(source[0]), lines=False)
    return printable(f"{len(source)} inputs, {source[0]} to {source[-1]}", lines=False)


def bounded(name: str, most: int, suffix: str = "") -> str:
    """Return a name of at most ``most`` bytes with its suffix: whole, or its head and a digest.

    Examples
    --------
    >>> bounded("part", 20, ".png")
    'part.png'
    >>> bounded("Kamera 1 an der Linie Nord", 26, ".png")
    'Kamera 1~e30d6b85429c.png'
    """
    if len(_bytes(name + suffix)) <= most:
        return name + suffix
    return marked(name, name, most, suffix)


def marked(name: str, identity: str, most: int, suffix: str = "") -> str:
    """Return the head of a name with the digest of what it stands for, of at most so many bytes."""
    digest = hashlib.sha256(_bytes(identity)).hexdigest()[:_DIGEST]
    room = max(0, most - len(_bytes(f"~{digest}{suffix}")))
    head = _bytes(name)[:room].decode("utf-8", "ignore").rstrip(". ")
    return f"{head}~{digest}{suffix}"


def unlike(names: Iterable[str], identities: Iterable[str], most: int, suffix: str) -> list[str]:
    """Return names of at most ``most`` bytes, no two alike where upper case is lower case.

    Of those that would be, all but the first get the digest of their identity, which is unique.
    """
    taken: set[str] = set()
    told = []
    for name, identity in zip(names, identities, strict=True):
        short = bounded(name, most, suffix)
        if alike(short) in taken:
            short = marked(name, identity, most, suffix)
        taken.add(alike(short))
        told.append(short)
    return told


def typed(*words: str | Path) -> str:
    r"""Return words as they are typed in a shell, whatever is in them.

    What no encoding has, and control characters, stand in ``$'...'``, which bash and zsh read.

    Examples
    --------
    >>> print(typed("inspect", "night 1/a.png"))
    inspect 'night 1/a.png'
    >>> print(typed("Pr\udcfcf's"))
    $'Pr\xfcf\'s'
    """
    return " ".join(map(_typed, map(str, words)))


def _typed(word: str) -> str:
    if word.isprintable():
        return quote(word)
    signs = (
        f"\\{sign}"
        if sign in "'\\"
        else sign
        if sign.isprintable()
        else "".join(f"\\x{byte:02x}" for byte in sign.encode("utf-8", "surrogateescape"))
        for sign in word
    )
    return f"$'{''.join(signs)}'"


def alike(name: str) -> str:
    """Return what names have in common that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _sign(character: str) -> str:
    if unicodedata.category(character) not in _UNREADABLE:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python tells a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02X}"
    return f"\\x{code:02X}" if code < 0x80 else f"\\u{code:04X}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Write a sign that a stream's encoding does not have as we spell it, else as Python does."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - it is given to no decoder
    signs = error.object[error.start : error.end]
    plain = legible(signs).encode(error.encoding, "backslashreplace").decode(error.encoding)
    return plain, error.end


LEGIBLE_ERRORS: Final = "vae-anomaly-legible"
"""What to give as ``errors`` to a stream that names of files are written to."""

codecs.register_error(LEGIBLE_ERRORS, _replace)
