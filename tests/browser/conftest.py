"""A real Chromium that opens pages from disk; any request or console error fails the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser.watch import faults_of_request

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DESKTOP, PHONE = (1440, 900), (390, 844)
OpenPage = Callable[..., Any]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="pages are tested in a browser with the extra [browser]"
    )
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[OpenPage]:
    """Open HTML, given as text or as a file, and watch what the page asks for and complains of."""
    faults: list[str] = []
    contexts: list[Any] = []

    def opened(
        html: str | Path, *, size: tuple[int, int] = DESKTOP, theme: str = "light", **options: Any
    ) -> Any:
        file = html if isinstance(html, Path) else tmp_path / f"page-{len(contexts)}.html"
        if isinstance(html, str):
            file.write_text(html, encoding="utf-8")
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,
            accept_downloads=True,
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        own = file.absolute().as_uri()
        page.on("request", lambda request: faults.extend(faults_of_request(request.url, own)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(own)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []
