"""Every reason for which an item may not be scored has words and a remedy."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import vae_anomaly
from vae_anomaly.data.tables.schema import _TROUBLE
from vae_anomaly.errors import DataError
from vae_anomaly.jobs.report.night.quarantine import EXAMPLES, WORDS, quarantine_groups
from vae_anomaly.scoring.judging import NONFINITE

PACKAGE = Path(vae_anomaly.__file__).parent
ELSEWHERE = (  # faults of masks, which are no input of a scoring run, and of what a server is sent
    "data/images/masks.py",
    "data/images/mask_values.py",
    "data/images/outlines.py",
    "tracking/",
)


def codes_in(path: Path) -> set[str]:
    """Return the codes that a module gives to faults: ``code="x"``, ``Fault("x", ...)``."""
    codes = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        values = [word.value for word in node.keywords if word.arg == "code"]
        if isinstance(node.func, ast.Name) and node.func.id == "Fault":
            values += node.args[:1]
        for value in values:
            codes |= {part.value for part in ast.walk(value) if isinstance(part, ast.Constant)}
    return {code for code in codes if isinstance(code, str)}


def all_codes() -> set[str]:
    modules = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    found = [codes_in(path) for name, path in modules.items() if not name.startswith(ELSEWHERE)]
    return set().union(*found, _TROUBLE, {NONFINITE, "refused"})


def test_no_code_of_the_package_is_without_words():
    assert {"truncated", "duplicate_id", "bit_depth"} <= all_codes()
    assert all_codes() - WORDS.keys() == set()
    assert WORDS.keys() - all_codes() == set(), "words of codes that nothing gives any more"


@pytest.mark.parametrize("code", WORDS)
def test_words_are_sentences(code):
    meaning, remedy = WORDS[code]
    for text in (meaning, remedy):
        assert text[0].isupper()
        assert text.endswith(".")


def write_quarantine(root: Path, key: str, codes: dict[str, int]) -> dict[str, object]:
    (root / "quarantine").mkdir(exist_ok=True)
    lines = [
        {"id": f"{code}-{i}", "code": code, "message": f"wrong {i}", "source": f"{key}, row {i}"}
        for code, count in codes.items()
        for i in range(count)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (root / "quarantine" / f"{key}.jsonl").write_text(text, encoding="utf-8")
    return {"key": key, "codes": codes}


def test_groups_count_over_partitions_and_show_the_first_ones(tmp_path):
    entries = [
        write_quarantine(tmp_path, "a", {"infinite": 3}),
        write_quarantine(tmp_path, "b", {"not_a_number": 90, "infinite": 1}),
        {"key": "c", "codes": {}},
    ]
    first, second = quarantine_groups(tmp_path, entries)
    assert (first.code, first.count, len(first.examples)) == ("not_a_number", 90, EXAMPLES)
    assert (second.code, second.count) == ("infinite", 4)
    assert second.examples[0] == ("a, row 0", "wrong 0")
    assert second.examples[-1] == ("b, row 0", "wrong 0")
    assert second.remedy == WORDS["infinite"][1]
    assert first.files == ("quarantine/b.jsonl",)
    assert second.files == ("quarantine/a.jsonl", "quarantine/b.jsonl")


def test_a_code_of_another_version_points_to_the_message(tmp_path):
    (group,) = quarantine_groups(tmp_path, [write_quarantine(tmp_path, "a", {"too_salty": 1})])
    assert "The message of each says why" in group.remedy


def test_a_damaged_file_is_refused_with_the_remedy(tmp_path):
    entry = write_quarantine(tmp_path, "a", {"infinite": 1})
    (tmp_path / "quarantine" / "a.jsonl").write_text("{half", encoding="utf-8")
    with pytest.raises(DataError, match=r"is no quarantine file: .* Score the input again"):
        quarantine_groups(tmp_path, [entry])
