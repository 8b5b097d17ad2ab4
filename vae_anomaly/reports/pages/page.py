"""A page: a template in the shell that all pages share, as one file that asks for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from vae_anomaly.files import replace_file
from vae_anomaly.names import LEGIBLE_ERRORS
from vae_anomaly.reports.pages.bundle import csp_hash, script, styles
from vae_anomaly.reports.pages.environment import page_environment
from vae_anomaly.reports.pages.island import island
from vae_anomaly.version import __version__

SHELL_STYLES: Final = ("tokens", "base", "shell", "components", "charts", "print")
"""What every page is styled by, in this order; a page's own stand before ``print``."""

SHELL_SCRIPTS: Final = ("theme", "copy")
"""What every page does."""


def render_page(
    template: str,
    *,
    title: str,
    facts: object,
    scripts: Sequence[str] = (),
    page_styles: Sequence[str] = (),
    made: datetime | None = None,
    **shown: object,
) -> str:
    """Draw a page: one HTML file that holds all it needs and asks for nothing.

    Parameters
    ----------
    template : str
        Its file in ``templates/``; it extends ``base.html``.
    title : str
        Of the browser's tab.
    facts : object
        What scripts read: plain values and dataclasses, kept as JSON in the page.
    scripts, page_styles : sequence of str
        Modules of ``scripts/`` and sheets of ``styles/`` beside those of every page, by name.
    made : datetime, optional
        When; now, if it is not given.
    **shown
        What the template names.
    """
    style = styles(*SHELL_STYLES[:-1], *page_styles, SHELL_STYLES[-1])
    early, code = script("early"), script(*SHELL_SCRIPTS, *scripts)
    html = page_environment().get_template(template).render(
        title=title,
        csp=_policy(style, early, code),
        style=style,
        early=early,
        script=code,
        island=island(facts),
        made=(made or datetime.now(UTC)).isoformat(),
        version=__version__,
        **shown,
    )  # fmt: skip
    return html.encode("utf-8", LEGIBLE_ERRORS).decode()


def _policy(style: str, *scripts: str) -> str:
    """Return a content security policy that allows what stands in the page, and no request."""
    allowed = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": csp_hash(style),
        "script-src": " ".join(map(csp_hash, scripts)),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in allowed.items())


def write_page(html: str, path: str | Path) -> Path:
    """Write a page whole or not at all, and return where.

    Raises
    ------
    StorageError
        If the disk is full or not writable.
    """
    target = Path(path)
    with replace_file(target) as temporary:
        temporary.write_text(html, encoding="utf-8", newline="\n")
    return target
