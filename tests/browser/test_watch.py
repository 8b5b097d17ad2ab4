"""The watch itself: a page that asks for something, or complains, is found out."""

from __future__ import annotations

import pytest
from browser.watch import faults_of_request

PAGE = "file:///night/report.html"


@pytest.mark.parametrize("url", ["https://example.org/a.js", "file:///night/other.png"])
def test_a_request_that_leaves_the_page_is_named(url):
    assert faults_of_request(url, PAGE) == [f"the page asked for {url}"]


@pytest.mark.parametrize("url", [f"{PAGE}#items", "data:image/webp;base64,AA", "blob:null/1"])
def test_the_page_and_what_lies_in_it_are_no_requests(url):
    assert faults_of_request(url, PAGE) == []


def test_a_page_opens_in_the_theme_and_size_that_were_asked_for(open_page):
    page = open_page("<title>night</title><p>5 parts", theme="dark", size=(390, 844))
    assert page.title() == "night"
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches && innerWidth == 390")
