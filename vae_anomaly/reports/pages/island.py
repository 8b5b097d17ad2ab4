"""The facts of a page as JSON inside it, which no text can break out of."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Final

from markupsafe import Markup

from vae_anomaly.names import legible

_ESCAPED: Final = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})


def island(facts: object) -> Markup:
    r"""Return facts as the text of a ``<script type="application/json">``.

    Dataclasses become objects; a number that is not finite becomes null, which JSON can say.
    ``<``, ``>``, ``&`` and the line ends of JavaScript are written as ``\uXXXX``.

    Examples
    --------
    >>> print(island({"name": "</script>", "rate": float("nan")}))
    {"name":"\u003c/script\u003e","rate":null}
    """
    text = json.dumps(plain_json(facts), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPED))  # noqa: S704 - nothing of HTML is left in it


def plain_json(value: object) -> object:
    """Return a value as what JSON knows: objects, lists, text, numbers, true, false, null."""
    if isinstance(value, str):
        return legible(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain_json(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {legible(str(key)): plain_json(one) for key, one in value.items()}
    if isinstance(value, Sequence):
        return [plain_json(one) for one in value]
    raise TypeError(f"A page cannot hold {type(value).__name__}: give it plain values.")
