"""What a column can be to a model, and how that is decided from its type and values.

The first rule that fits decides; `Column.note` says which and why:

1. *ignored*: no value at all; nested values (lists, bytes).
2. *boolean*: truth values; the numbers 0 and 1; words of one language for true and false, such as
   yes/no, t/f, on/off, ja/nein, oui/non.
3. *timestamp*: a date or time type; text of which more than 99 % is a date, and numbers that are
   days written as digits (20240301). How they are written is decided on the whole column, and which
   parts of them come again: `vae_anomaly.data.tables.kinds.timestamps`.
4. *ignored*: a number that only tells the time again (elapsed seconds, a counter): tomorrow's
   value is out of range whatever happens. How it is told: `vae_anomaly.data.tables.kinds.clocks`.
5. *identifier*: text with more distinct values than half the rows; whole numbers that never repeat
   and are given out, as `vae_anomaly.data.tables.kinds.identifiers` tells; a name that ends in "id"
   with more than 50 values. Judged from 20 rows on. Never a feature: it cannot be seen again.
6. *numeric*: number types; text of which 99 % are numbers, plain or in one format, "007" not being
   one. How a format is found, and when a person is asked: `vae_anomaly.data.tables.kinds.writing`.
7. *categorical*: all other text, and what pandas holds as a category.

After that a column may get a role beside its kind, and be left out for it: see `roles`.

Whole numbers with few values stay numeric: declare them categorical where they are codes.
"""

from vae_anomaly.data.tables.kinds.clocks import SUSPECT_NOTE, find_clocks
from vae_anomaly.data.tables.kinds.column import FEATURE_KINDS, Column, ColumnKind, Role
from vae_anomaly.data.tables.kinds.counts import ELAPSED_NOTE
from vae_anomaly.data.tables.kinds.identifiers import ID_NAME
from vae_anomaly.data.tables.kinds.infer import infer_column
from vae_anomaly.data.tables.kinds.roles import (
    attributes_of_keys,
    copies_of_label,
    known_answer,
    likeliest_label,
    proposed_roles,
    told_by,
)
from vae_anomaly.data.tables.kinds.timestamps import AMBIGUOUS_NOTE
from vae_anomaly.data.tables.kinds.writing import option

__all__ = [
    "AMBIGUOUS_NOTE",
    "ELAPSED_NOTE",
    "FEATURE_KINDS",
    "ID_NAME",
    "SUSPECT_NOTE",
    "Column",
    "ColumnKind",
    "Role",
    "attributes_of_keys",
    "copies_of_label",
    "find_clocks",
    "infer_column",
    "known_answer",
    "likeliest_label",
    "option",
    "proposed_roles",
    "told_by",
]
