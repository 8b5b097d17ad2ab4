"""Names that no item has."""

from __future__ import annotations

from vae_anomaly.data.tables.labels import listed_strangers


def test_case_zeros_separators_and_endings_lead_to_the_item_that_was_meant():
    known = ["lot-7/part-12.png", "T-0001", "x"]
    assert "(did you mean 'lot-7/part-12.png'?)" in listed_strangers(["Part_012"], known)
    assert "(did you mean 'T-0001'?)" in listed_strangers(["t1"], known)


def test_only_the_first_names_are_listed_and_the_others_counted():
    assert listed_strangers(list("abcde"), []) == "'a', 'b', 'c' and 2 more"


def test_a_name_with_a_slip_is_found_among_a_few_items_and_not_searched_among_many():
    assert "did you mean 'payment-17'" in listed_strangers(["paymnet-17"], ["payment-17"])
    many = [f"payment-{i}" for i in range(30_000)]
    assert "did you mean" not in listed_strangers(["paymnet-17"], many)
