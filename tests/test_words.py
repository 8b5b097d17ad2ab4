"""Counts, lists and reasons read as a person would write them, and messages use them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vae_anomaly
from vae_anomaly.words import names_of, number_of, reason_of, verb_for

PACKAGE = Path(vae_anomaly.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def test_one_is_singular_and_everything_else_plural():
    assert [number_of(n, "file") for n in (0, 1, 2, 1000)] == [
        "0 files", "1 file", "2 files", "1,000 files",
    ]  # fmt: skip
    assert number_of(1, "entity", "entities") == "1 entity"
    assert number_of(3.0, "entity", "entities") == "3 entities"
    assert [verb_for(n, "has", "have") for n in (1, 0, 5)] == ["has", "have", "have"]


@given(st.lists(st.sampled_from([f"n{i}" for i in range(30)])), st.integers(1, 8))
def test_a_cut_list_names_each_once_and_counts_the_rest(names, most):
    told = names_of(names, most)
    shown, _, rest = told.partition(" and ")
    named = [name for name in shown.split(", ") if name]
    more = int(rest.removesuffix(" more") or 0)
    assert named == list(dict.fromkeys(names))[:most]
    assert len(named) + more == len(set(names))


def test_a_reason_has_no_stop_of_its_own_and_is_one_line():
    assert reason_of(ValueError("Give\n  a file.")) == "Give a file"


def exceptions_before_a_stop(tree: ast.AST) -> Iterator[int]:
    """Yield the lines where an exception is put bare before a full stop of ours."""
    for handler in ast.walk(tree):
        if not isinstance(handler, ast.ExceptHandler) or handler.name is None:
            continue
        for text in ast.walk(handler):
            if not isinstance(text, ast.JoinedStr):
                continue
            for part, after in zip(text.values, text.values[1:], strict=False):
                bare = isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name)
                if (
                    bare
                    and part.value.id == handler.name
                    and part.conversion != ord("r")
                    and isinstance(after, ast.Constant)
                    and str(after.value).startswith(".")
                ):
                    yield text.lineno


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_error_that_ends_in_a_stop_is_followed_by_another(path):
    lines = list(exceptions_before_a_stop(ast.parse(path.read_text(encoding="utf-8"))))
    assert not lines, f"{path}, lines {lines}: write reason_of(error) before a full stop"


def faults_of(told: str) -> list[str]:
    """Return what reads wrong in the output of a command."""
    nouns = "images|files|rows|columns|items|normals|folders|groups|parts|cells|labels|verdicts"
    found = re.findall(r"\w\.\.(?![./\w])", told)
    found += re.findall(rf"(?<![\d.,:#/])\b1 (?:[a-z-]+ )?(?:{nouns})\b", told)
    for words in re.findall(r"[^\s,]+(?:, [^\s,]+){2,}", told):
        names = [name.rstrip(".") for name in words.split(", ")]
        found += [name for name in set(names) if names.count(name) > 2]
    return found


def test_what_reads_wrong_is_found():
    assert faults_of("they give useful thresholds..") == ["s.."]
    assert faults_of("1 files are no images; 1 normal items") == ["1 files", "1 normal items"]
    assert faults_of("columns a, a, a, a") == ["a"]
    assert faults_of("1 of 3 images ... ../parts, a, b and 4 more") == []
