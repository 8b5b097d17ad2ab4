"""Options of images: which of them are good, how they are read, limits, what is white.

Whoever reads images takes one of the three bundles at the end, so that a set that can be trained on
can be scored, measured, tuned on and looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.options.declare import Body, Decorator, bundle

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


def read_as(
    max_pixels: int | None,
    max_bytes: int | None,
    max_frames: int | None,
    white: int | None = None,
) -> ImageReading:
    """Return what the options say of how images are read."""
    from vae_anomaly.data.images.decode import ImageReading

    return ImageReading(max_pixels, max_bytes, max_frames, white)


def reading_words(reading: ImageReading) -> list[str]:
    """Return the options that say the same in the next command."""
    said = {name: value for name, value in vars(reading).items() if value is not None}
    return [w for name, value in said.items() for w in (f"--{name.replace('_', '-')}", str(value))]


limit_options = (
    click.option("--max-pixels", type=click.IntRange(min=1), metavar="N",
                 help="Largest image, width times height.  [default: 67 million, with tiles 268]"),
    click.option("--max-bytes", type=click.IntRange(min=1), metavar="N",
                 help="Largest file.  [default: 256 MiB, with tiles 1 GiB]"),
    click.option("--max-frames", type=click.IntRange(min=1), metavar="N",
                 help="Take the first frame of files of so many.  [default: 1]"),
)  # fmt: skip
white_option: Decorator = click.option(
    "--white", type=click.IntRange(1, 65535), metavar="N",
    help="White in them: 4095 of a camera of 12 bits.  [default: the model's]",
)  # fmt: skip

one_image_options = bundle("reading", read_as, white_option, *limit_options)
"""How a single image is read: ``reading``."""

_training_limits = bundle("reading", read_as, *limit_options)


def image_options(command: Body) -> Body:
    """Add how a set of images is read: ``follow_links`` and ``reading``."""
    return follow_links_option(one_image_options(command))


def training_image_options(command: Body) -> Body:
    """Add the same where white is a parameter of the detector, or does not matter."""
    return follow_links_option(_training_limits(command))
