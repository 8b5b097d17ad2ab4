"""Draw the README's two images from the pages of a demo: the report of its night, and one part.

    vae-anomaly demo && python datasets/screenshots.py vae-anomaly-demo --out docs/images

OUT gets `report.png`, the night's images from the header to the first row of the gallery, and
`part.png`, its strangest scratch as `inspect --html` shows it; each below 150 kB, in few colours.
Needs the extra `[browser]` and Debian's `chromium`.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from vae_anomaly.batch import read_results

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOST_BYTES: Final = 150_000
COLOURS: Final = (256, 128, 64)
REPORT_WIDTH, PART_WIDTH, HEIGHT = 1240, 860, 1000
GAP: Final = 12  # pixels below the last thing shown


def small_png(shot: bytes, most_bytes: int = MOST_BYTES) -> bytes:
    """Return a PNG in as many colours as fit, the rare ones as well; dither would make text rough.

    Raises
    ------
    ValueError
        If it is too large in the fewest colours as well.
    """
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    for colours in COLOURS:
        written = io.BytesIO()
        few = image.quantize(colours, Image.Quantize.MAXCOVERAGE, 1, dither=Image.Dither.NONE)
        few.save(written, "PNG", optimize=True)
        if written.tell() <= most_bytes:
            return written.getvalue()
    raise ValueError(
        f"The image takes {written.tell():,} bytes in {COLOURS[-1]} colours, and {most_bytes:,} "
        "are the most. Show less of the page."
    )


def part_page(demo: Path) -> Path:
    """Inspect the strangest scratch of a demo's night, and return its page."""
    scores = read_results(demo / "flags" / "images").set_index("id")["score"]
    part = demo / "images" / "test" / str(scores.filter(like="scratch/").idxmax())
    made = json.loads((demo / "demo.json").read_text(encoding="utf-8"))
    page = demo / "part.html"
    command = [
        "inspect",
        made["models"]["images"],
        part,
        "--html",
        page,
        "--out",
        demo / "inspect",
    ]
    subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "vae_anomaly", *command, "--tracking-uri", made["store"]],
        check=True,
    )
    return page


def to_first_row(page: Page) -> float:
    """Return where the first row of the gallery ends, in pixels from the top."""
    return _bottom(page, ".gallery .card >> nth=0")


def to_images(page: Page) -> float:
    """Return where the images of an inspected part end, in pixels from the top."""
    return _bottom(page, ".inspected__shown img >> nth=0")


def _bottom(page: Page, selector: str) -> float:
    box = page.locator(selector).bounding_box()
    if box is None:
        raise ValueError(f"{page.url} shows no {selector}. Draw its page again: vae-anomaly demo")
    return box["y"] + box["height"]


def draw(file: Path, width: int, end: Callable[[Page], float]) -> bytes:
    """Photograph a page from its top to where `end` says, in light colours."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme="light")
        page.goto(file.absolute().as_uri())
        page.set_viewport_size({"width": width, "height": round(end(page)) + GAP})
        page.wait_for_timeout(500)  # images are decoded as they come into sight
        shot = page.screenshot()
        browser.close()
    return shot


def main() -> None:
    """Read the command line, draw both, say how large they are."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("demo", type=Path, help="folder of a `vae-anomaly demo`")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    shots = {
        "report.png": (args.demo / "flags" / "images" / "report.html", REPORT_WIDTH, to_first_row),
        "part.png": (part_page(args.demo), PART_WIDTH, to_images),
    }
    for name, (file, width, end) in shots.items():
        written = small_png(draw(file, width, end))
        (args.out / name).write_bytes(written)
        print(f"{args.out / name}: {len(written):,} bytes")


if __name__ == "__main__":
    main()
