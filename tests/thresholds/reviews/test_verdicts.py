"""Verdicts are on the items that they name, however these are called."""

from __future__ import annotations

from vae_anomaly.thresholds.reviews.verdicts import read_verdicts


def test_an_item_that_was_scored_with_spaces_around_its_name_keeps_them(tmp_path):
    file = tmp_path / "decisions.csv"
    file.write_text('item,verdict\n" lead.jpg",confirmed\nnext.jpg ,false alarm\n')
    read = read_verdicts(file, ids=iter([" lead.jpg", "next.jpg"])).frame
    assert read["item"].tolist() == [" lead.jpg", "next.jpg"]


def test_two_items_that_differ_by_a_space_are_two(tmp_path):
    file = tmp_path / "decisions.csv"
    file.write_text('item,verdict\n" a.jpg",confirmed\na.jpg,false alarm\n')
    read = read_verdicts(file, ids=[" a.jpg", "a.jpg"])
    assert (read.frame["item"].tolist(), read.repeated) == ([" a.jpg", "a.jpg"], 0)


def test_an_item_that_was_not_judged_needs_no_time(tmp_path):
    file = tmp_path / "decisions.csv"
    file.write_text("item,verdict,when\na,confirmed,2026-05-01 22:10\nb,,\n")
    assert read_verdicts(file).frame["item"].tolist() == ["a"]
