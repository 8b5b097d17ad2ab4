"""A comparison in a browser: it fits, desktop and phone, whatever names hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from browser.conftest import DESKTOP, PHONE
from reports.pages.test_compare import HOSTILE, facts

from vae_anomaly.reports.pages.compare import compare_page


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_runs_out_of_the_window(open_page, size, theme):
    item = replace(facts().moved_a[0], id=HOSTILE, reasons_a=(HOSTILE,))
    run = replace(facts().a, name=HOSTILE, n_alone=1, examples_alone=(HOSTILE,))
    page = open_page(compare_page(facts(a=run, moved_a=(item,))), size=size, theme=theme)
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]
    assert page.locator("bdi", has_text="<script>alert(1)</script>").count() > 0
    assert page.locator("svg.ranks use").count() == 2
