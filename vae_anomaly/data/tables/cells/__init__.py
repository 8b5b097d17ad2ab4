"""Read the cells of one column as numbers, truth values, times or text, whatever stored them.

A column may arrive as numpy, pandas nullable, categorical, sparse or Arrow-backed data, or as
Python objects. Each reader returns plain numpy values and, beside them, a code for every cell that
cannot be read. A bad cell is never an exception; a missing cell is never bad.

Missing are None, NaN, NaT, pandas.NA and text of nothing but spaces. In numeric, boolean and
timestamp columns the words of `MISSING_WORDS` are missing too; in categorical columns they are not,
because "NA" is Namibia and "none" is an answer.
"""

from vae_anomaly.data.tables.cells.booleans import (
    FALSE_WORDS,
    TRUE_WORDS,
    are_truth_words,
    read_booleans,
)
from vae_anomaly.data.tables.cells.number_formats import NumberFormat, take_apart
from vae_anomaly.data.tables.cells.numbers import is_number_text, read_numbers
from vae_anomaly.data.tables.cells.storage import (
    MISSING_WORDS,
    Codes,
    Storage,
    are_fine,
    storage_of,
    without_words,
)
from vae_anomaly.data.tables.cells.text import read_text, some_of, text_counts, written_counts
from vae_anomaly.data.tables.cells.time_formats import (
    TimeFormat,
    check_time_format,
    is_of_numbers,
    words_for,
)
from vae_anomaly.data.tables.cells.times import (
    Writing,
    closed,
    digit_formats,
    epoch_unit_of,
    is_calendar_number,
    is_open,
    read_times,
    times_of_numbers,
    writing_of,
)

__all__ = [
    "FALSE_WORDS",
    "MISSING_WORDS",
    "TRUE_WORDS",
    "Codes",
    "NumberFormat",
    "Storage",
    "TimeFormat",
    "Writing",
    "are_fine",
    "are_truth_words",
    "check_time_format",
    "closed",
    "digit_formats",
    "epoch_unit_of",
    "is_calendar_number",
    "is_number_text",
    "is_of_numbers",
    "is_open",
    "read_booleans",
    "read_numbers",
    "read_text",
    "read_times",
    "some_of",
    "storage_of",
    "take_apart",
    "text_counts",
    "times_of_numbers",
    "without_words",
    "words_for",
    "writing_of",
    "written_counts",
]
