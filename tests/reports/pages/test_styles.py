"""Style sheets: a class is styled in one place, and sizes and colours come from the tokens."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

import vae_anomaly.reports.pages.page as page_module
from vae_anomaly.reports.pages.bundle import styles

FOLDER = Path(page_module.__file__).parent
SHEETS = sorted((FOLDER / "styles").glob("*.css"))
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
ALONE = re.compile(r"(?:^|,)\s*\.([a-z][\w-]*)\s*(?=[,{])", re.MULTILINE)
COLOUR = re.compile(r"#[0-9a-f]{3,8}\b|\brgb\(|\bhsl\(", re.IGNORECASE)
ON_IMAGES = {"cards.css", "tokens.css"}  # what lies over images keeps its colour in the dark


def _rules_for_every_size(sheet: Path) -> str:
    """Return a sheet without what it says of narrow windows and of paper."""
    return COMMENT.sub("", sheet.read_text(encoding="utf-8")).split("@media")[0]


def test_each_class_is_styled_by_one_sheet():
    homes: dict[str, set[str]] = defaultdict(set)
    for sheet in SHEETS:
        for name in ALONE.findall(_rules_for_every_size(sheet)):
            homes[name].add(sheet.name)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_sheets_ask_media_last():
    """What depends on the window stands below what it changes."""
    for sheet in SHEETS:
        after = COMMENT.sub("", sheet.read_text(encoding="utf-8")).partition("@media")[2]
        outside = re.sub(r"@media[^{]*\{(?:[^{}]|\{[^{}]*\})*\}", "", f"@media{after}")
        assert "{" not in outside, sheet.name


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_colours_come_from_the_tokens(sheet):
    if sheet.name not in ON_IMAGES:
        found = COLOUR.findall(COMMENT.sub("", sheet.read_text(encoding="utf-8")))
        assert found == []


def test_every_class_that_is_styled_is_used():
    sources = [*FOLDER.glob("templates/*.html"), *FOLDER.glob("scripts/*.js")]
    sources += [*FOLDER.glob("*.py"), *FOLDER.parent.glob("charts/*.py")]
    used = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    styled = set(ALONE.findall(styles(*(sheet.stem for sheet in SHEETS))))
    unused = {name for name in styled if not re.search(rf"\b{re.escape(name)}\b", used)}
    made_of_parts = ("contribution__", "notice--", "plot__line--", "ranks__")
    assert {name for name in unused if not name.startswith(made_of_parts)} == set()
