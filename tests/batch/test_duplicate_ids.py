"""Rows whose id an earlier row had."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.batch.duplicate_ids import find_repeats
from vae_anomaly.errors import StorageError


def repeats(ids: list[str | None], piece: int, folder: Path) -> list[bool]:
    pieces = [ids[start : start + piece] for start in range(0, len(ids), piece)]
    with find_repeats(pieces, folder) as repeated:
        return repeated.tolist()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.one_of(st.none(), st.sampled_from("abcäé"))), st.integers(1, 9))
def test_all_but_the_first_row_of_an_id_are_found(tmp_path_factory, ids, piece):
    seen: set[str | None] = {None}
    expected = [text is not None and (text in seen or bool(seen.add(text))) for text in ids]
    assert repeats(ids, piece, tmp_path_factory.mktemp("ids")) == expected


def test_many_ids_of_one_text_are_one_row_and_its_repeats(tmp_path):
    assert sum(repeats(["same"] * 5000, 512, tmp_path)) == 4999


def test_nothing_stays_behind(tmp_path):
    with find_repeats([["a", "b", "a"]], tmp_path) as repeated:
        assert repeated.tolist() == [False, False, True]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match=r"file.*Choose another|choose another"),
        find_repeats([["a"]], tmp_path / "file" / "below"),
    ):
        pass
