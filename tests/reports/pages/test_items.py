import re
from dataclasses import replace

import pytest
from reports.pages import made

from vae_anomaly.reports.pages.items import items_lead
from vae_anomaly.reports.pages.night import night_page


def test_the_lead_counts_what_is_shown_and_names_what_is_not():
    assert items_lead(made.images(37)) == (
        "37 flagged images, the strangest first. Below them 24 nearest misses and 30 drawn at "
        "random."
    )
    assert "1,230 more flagged images with lower scores are not on this page" in items_lead(
        made.full()
    )


def test_where_nothing_is_flagged_nothing_stands_below_it():
    assert items_lead(made.images(0, 80)) == (
        "Nothing was flagged. Below are 24 nearest misses and 30 drawn at random."
    )


def test_one_flagged_row_is_no_rows():
    assert items_lead(made.rows(1, 1)).startswith("1 flagged row, the strangest first.")


def test_500_images_with_all_their_maps_make_a_page_under_2_mb():
    page = made.page_of(made.full)
    assert len(page.encode()) < 2_000_000


def test_without_scripts_the_first_items_are_read_with_their_reasons():
    page = night_page(made.rows(3, 9), made=made.MADE)
    plain = re.search(r"<noscript>(.*?)</noscript>", page, re.DOTALL)[1]
    assert plain.count("<tr>") == 1 + len(made.rows(3, 9).items)
    assert "where 42.10 was expected" in plain


@pytest.mark.parametrize(
    ("n_flagged", "said"), [(0, "Nothing was flagged."), (12, "Score it again to see its items")]
)
def test_a_night_without_items_says_why(n_flagged, said):
    night = replace(made.empty(), n_flagged=n_flagged)
    page = night_page(night, made=made.MADE)
    assert said in page
    assert 'id="review"' not in page
