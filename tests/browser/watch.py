"""What a page may ask for: nothing but itself and what lies in it."""

from __future__ import annotations


def faults_of_request(url: str, page: str) -> list[str]:
    """Name a request that leaves the page; an empty list where there is none."""
    inside = url.partition("#")[0] == page or url.startswith(("data:", "blob:"))
    return [] if inside else [f"the page asked for {url}"]
