"""What axe-core finds on a page as it is shown now: a line for each element at fault."""

from __future__ import annotations

from typing import Any

GRAVE = ("serious", "critical")
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}


def faults_for_readers(page: Any, *, colours_only: bool = False) -> list[str]:
    """Name what shuts readers out: by screen reader, by keyboard, or by weak eyes."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"resultTypes": ["violations"], **(COLOURS if colours_only else {})}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{one['impact']}: {one['help']}: {node['target']} {node['html'][:200]}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]
