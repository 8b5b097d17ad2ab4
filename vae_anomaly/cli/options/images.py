"""Options of folders of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.options.declare import Decorator, bundle

if TYPE_CHECKING:
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
