"""Styles and scripts of a page, joined from their sources into what stands inline.

Scripts are ES modules in ``scripts/``. What we use of the language's modules is little, so that
joining them is little: ``import { a, b } from "./name.js";``, ``import "./name.js";``, and
``export`` before a function, a class or a constant. There is no default export and no renaming;
every name at the top of a module is unique over all modules that one page joins.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from markupsafe import Markup

_PACKAGE: Final = "vae_anomaly.reports.pages"
_IMPORT: Final = re.compile(r'^import (?:\{([^}]*)\} from )?"\./([a-z_]+)\.js";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?function|const|let|class)", re.MULTILINE)
_DEFINED: Final = re.compile(
    r"^(export )?(?:async )?(?:function\*?|const|let|class)\s+(\w+)", re.MULTILINE
)
_LEFT: Final = re.compile(r"^(?:import|export)\b.*$|^(?:const|let)\s*[\[{].*$", re.MULTILINE)
_CLOSING: Final = re.compile(r"</(?:script|style)|<!--", re.IGNORECASE)


@dataclass(frozen=True)
class Module:
    """An ES module of ours, taken apart."""

    name: str
    imports: tuple[tuple[str, tuple[str, ...]], ...]  # module, names
    defined: tuple[str, ...]
    exported: frozenset[str]
    body: str


def csp_hash(text: str) -> str:
    """Return what a content security policy allows an inline script or style by.

    Examples
    --------
    >>> csp_hash("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def styles(*names: str) -> Markup:
    """Return the style sheets of these names, in this order, as one."""
    return _inline("".join(_source("styles", f"{name}.css") for name in names))


@cache
def script(*entries: str) -> Markup:
    """Return these modules with all that they import, as the text of one inline module."""
    return _inline(joined(entries, lambda name: _source("scripts", f"{name}.js")))


def joined(entries: Iterable[str], read: Callable[[str], str]) -> str:
    """Join modules: each once, after what it imports.

    Parameters
    ----------
    entries : iterable of str
        Names of modules; what they do, they do in this order.
    read : callable
        Returns the source of a module.

    Raises
    ------
    ValueError
        If two modules define one name, import each other, or a name that is not exported.
    """
    order: dict[str, Module] = {}
    for name in entries:
        _visit(name, read, order, ())
    _require_unique(order.values())
    for module in order.values():
        for other, wanted in module.imports:
            if missing := set(wanted) - order[other].exported:
                raise ValueError(f"{other}.js exports no {missing.pop()}: {module.name}.js asks it")
    return "".join(module.body for module in order.values())


def taken_apart(name: str, source: str) -> Module:
    """Return a module without its imports and exports, and what they said."""
    imports = [
        (other, tuple(filter(None, map(str.strip, wanted.split(",")))))
        for wanted, other in _IMPORT.findall(source)
    ]
    defined = _DEFINED.findall(source)
    body = _EXPORT.sub("", _IMPORT.sub("", source)).strip() + "\n"
    if left := _LEFT.search(body):
        raise ValueError(f"{name}.js says more than the joining of modules reads: {left[0]}")
    exported = frozenset(one for export, one in defined if export)
    return Module(name, tuple(imports), tuple(one for _, one in defined), exported, body)


def _visit(
    name: str, read: Callable[[str], str], order: dict[str, Module], way: tuple[str, ...]
) -> None:
    """Put a module behind all that it imports."""
    if name in way:
        raise ValueError(f"{' > '.join((*way, name))}: these modules import each other")
    if name in order:
        return
    module = taken_apart(name, read(name))
    for other, _ in module.imports:
        _visit(other, read, order, (*way, name))
    order[name] = module


def _require_unique(modules: Iterable[Module]) -> None:
    counts = Counter(name for module in modules for name in module.defined)
    if twice := [name for name, n in counts.items() if n > 1]:
        raise ValueError(f"Several modules define {', '.join(sorted(twice))}: a name has one home")


def _source(folder: str, name: str) -> str:
    return (files(_PACKAGE) / folder / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _inline(text: str) -> Markup:
    """Return a text of ours as what may stand in a script or a style."""
    if found := _CLOSING.search(text):
        raise ValueError(f"An inline script or style cannot hold {found[0]}: write it in two parts")
    return Markup(text)  # noqa: S704 - a file of this package
