"""Links, pipes and folders in a circle: nothing is entered twice, nothing is lost in silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vae_anomaly.data.images.folders import list_images
from vae_anomaly.errors import DataError


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A folder of one image, beside another folder of one."""
    for name in ("night/1.png", "other/2.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"x")
    return tmp_path / "night"


def ids(source: Path, **options: bool) -> list[str]:
    return [item.id for item in list_images(source, **options)]


@pytest.mark.parametrize("kind", ["loop", "dangling", "pipe"])
def test_what_cannot_be_read_is_an_item_of_its_own(night, kind):
    if kind == "pipe":
        os.mkfifo(night / "9.png")
    else:
        (night / "9.png").symlink_to("9.png" if kind == "loop" else "../other/absent.png")
    assert ids(night) == ["1.png", "9.png"]


def test_a_folder_that_links_to_itself_is_entered_once(night):
    (night / "again").symlink_to(".")
    assert ids(night) == ["1.png"]
    assert ids(night, follow_links=True) == ["1.png"]


@pytest.mark.parametrize(("target", "found"), [("other", "9.png/2.png"), ("other/2.png", "9.png")])
def test_a_link_out_of_the_folder_is_refused_unless_it_is_to_be_followed(night, target, found):
    (night / "9.png").symlink_to(night.parent / target)
    with pytest.raises(DataError, match=r"9\.png is a link to .*other.*--follow-links"):
        list_images(night)
    assert ids(night, follow_links=True) == ["1.png", found]


def test_two_links_to_one_folder_are_followed_once(night):
    for name in ("a", "b"):
        (night / name).symlink_to(night.parent / "other")
    assert ids(night, follow_links=True) == ["1.png", "a/2.png"]
