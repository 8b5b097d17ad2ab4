import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from reports.pages import made

from vae_anomaly.reports.pages.thumbnails import IMAGE_BUDGET, shrink_images


def opened(text):
    return Image.open(io.BytesIO(base64.b64decode(text)))


def encoded(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return base64.b64encode(out.getvalue()).decode()


def grainy(seed, side=384):
    noise = np.random.default_rng(seed).integers(60, 200, (side, side, 3), dtype=np.uint8)
    soft = Image.fromarray(noise).resize((side // 3, side // 3)).resize((side, side))
    return encoded(soft, "WEBP", quality=80)


@pytest.fixture(scope="module")
def many():
    """120 images as a run keeps them, which take far more than a page may."""
    item = made.images(1, 1).items[0]
    photos = [grainy(seed) for seed in range(6)]
    return [
        replace(
            item,
            id=str(k),
            image=replace(item.image, thumbnail=photos[k % 6], reconstruction=photos[(k + 1) % 6]),
        )
        for k in range(120)
    ]


@pytest.fixture(scope="module")
def shrunk(many):
    return shrink_images(many)


def size(items):
    return sum(
        len(one.image.thumbnail) + len(one.image.heat) + len(one.image.reconstruction or "")
        for one in items
    )


def test_all_images_of_a_page_take_no_more_than_the_budget(many, shrunk):
    assert size(many) > 2 * IMAGE_BUDGET
    assert size(shrunk) <= IMAGE_BUDGET
    assert [one.id for one in shrunk] == [one.id for one in many]


def test_few_images_stay_as_they_were_kept(many):
    few = shrink_images(many[:3])
    assert [one.image.thumbnail for one in few] == [one.image.thumbnail for one in many[:3]]
    assert few[0].image.reconstruction == many[0].image.reconstruction


def test_the_fewer_images_the_larger_they_are(many):
    shown = [shrink_images(many[:n], IMAGE_BUDGET // 4)[0].image for n in (5, 15, 30)]
    sides = [opened(image.thumbnail).width for image in shown]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] > sides[-1] >= 64


def test_what_was_expected_is_kept_of_the_first_items_while_it_fits(shrunk):
    have = [one.image.reconstruction is not None for one in shrunk]
    assert have[0]
    assert have == sorted(have, reverse=True)


def test_a_hot_cell_stays_hot_in_a_smaller_map(many):
    cells = np.zeros((96, 96), np.uint8)
    cells[13, 58] = 250
    spot = encoded(Image.fromarray(cells), "PNG")
    items = [replace(one, image=replace(one.image, heat=spot)) for one in many[:30]]
    heat = np.asarray(opened(shrink_images(items, 100_000)[0].image.heat).convert("L"))
    assert max(heat.shape) < 96
    assert heat.max() > 200
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert abs((x + 0.5) / heat.shape[1] - 58.5 / 96) < 0.05
    assert abs((y + 0.5) / heat.shape[0] - 13.5 / 96) < 0.05


def test_a_wide_image_keeps_its_shape(many):
    wide = encoded(opened(many[0].image.thumbnail).resize((384, 48)), "WEBP", quality=80)
    items = [replace(one, image=replace(one.image, thumbnail=wide)) for one in many]
    width, height = opened(shrink_images(items, 200_000)[0].image.thumbnail).size
    assert width / height == pytest.approx(8, rel=0.15)


def test_images_without_a_map_or_a_photo_stay_so(many):
    empty = [replace(one, image=replace(one.image, heat="", thumbnail="")) for one in many]
    assert {one.image.heat + one.image.thumbnail for one in shrink_images(empty, 300_000)} == {""}


def test_rows_pass_as_they_are():
    rows = made.rows(3, 10).items
    assert shrink_images(rows) == rows
