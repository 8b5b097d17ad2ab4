"""Options of images: which of them are good, how they are read, limits, what is white."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.options.declare import Decorator, bundle

if TYPE_CHECKING:
    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.data.images.folders import ClassNames

good_option: Decorator = click.option(
    "--good", multiple=True, metavar="NAME",
    help="A folder (or kind) of good images, where its name does not say so; repeatable.",
)  # fmt: skip
defect_option: Decorator = click.option(
    "--defect", multiple=True, metavar="NAME", help="A folder (or kind) of defective images."
)


def class_names(good: tuple[str, ...], defect: tuple[str, ...]) -> ClassNames:
    """Return what the options say of folders."""
    from vae_anomaly.data.images.folders import ClassNames

    return ClassNames(good, defect)


follow_links_option: Decorator = click.option(
    "--follow-links", is_flag=True,
    help="Follow links that lead out of a folder of images; else they are refused.",
)  # fmt: skip
class_options = bundle("classes", class_names, good_option, defect_option)


def _reading(
    max_pixels: int | None,
    max_bytes: int | None,
    max_frames: int | None,
    white: int | None = None,
) -> ImageReading:
    from vae_anomaly.data.images.decode import ImageReading

    return ImageReading(max_pixels, max_bytes, max_frames, white)


_LIMITS = (
    click.option("--max-pixels", type=click.IntRange(min=1), metavar="N",
                 help="Largest image, width times height.  [default: 67 million, with tiles 268]"),
    click.option("--max-bytes", type=click.IntRange(min=1), metavar="N",
                 help="Largest file.  [default: 256 MiB, with tiles 1 GiB]"),
    click.option("--max-frames", type=click.IntRange(min=1), metavar="N",
                 help="Take the first frame of files of so many.  [default: 1]"),
)  # fmt: skip

limits_options = bundle("reading", _reading, *_LIMITS)
reading_options = bundle(
    "reading",
    _reading,
    click.option("--white", type=click.IntRange(1, 65535), metavar="N",
                 help="White in them: 4095 of a camera of 12 bits.  [default: the model's]"),
    *_LIMITS,
)  # fmt: skip
