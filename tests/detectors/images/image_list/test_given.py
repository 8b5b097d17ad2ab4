"""What Python may give for images: the same image has the same score however it is given."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from vae_anomaly.data.images.decode import ImageReading, decode_image
from vae_anomaly.detectors import ImageVAEDetector
from vae_anomaly.detectors.images.image_list import open_images
from vae_anomaly.errors import DataError, ImageError

SIZE = 64


def plates(n: int, seed: int, *, shape: tuple[int, ...] = (SIZE, SIZE)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(90, 130, (n, *shape)).astype(np.uint8)


@pytest.fixture(scope="module")
def grey() -> ImageVAEDetector:
    return ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(plates(16, 1))


@pytest.fixture(scope="module")
def colour() -> ImageVAEDetector:
    return ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(
        plates(16, 1, shape=(64, 64, 3))
    )


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def ways(data: bytes, folder: Path) -> dict[str, object]:
    """Return every way to give the one image of a file."""
    path = folder / "image.any"
    path.with_suffix(".png").write_bytes(data)  # the name does not count
    pixels = decode_image(data)
    stacked = torch.from_numpy(np.atleast_3d(pixels).transpose(2, 0, 1).copy())
    return {
        "file": [path.with_suffix(".png")],
        "text": str(path.with_suffix(".png")),
        "bytes": data,
        "list of bytes": [data],
        "bytearray": [bytearray(data)],
        "PIL": Image.open(io.BytesIO(data)),
        "list of PIL": [Image.open(io.BytesIO(data))],
        "arrays": [pixels],
        "array": pixels[None],
        "tensor (C, H, W)": [stacked],
        "tensor (N, C, H, W)": stacked[None],
        "Series": pd.Series([str(path.with_suffix(".png"))]),
        "mixed": [data, pixels, stacked, path.with_suffix(".png"), Image.open(io.BytesIO(data))],
    }


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


FILES = {
    "png": lambda image: encoded(image, "PNG"),
    "jpeg": lambda image: encoded(image, "JPEG", quality=80),
    "turned": lambda image: encoded(image, "JPEG", exif=exif(6)),
    "transparent": lambda image: encoded(image.convert("RGBA").rotate(20), "PNG"),
    "bmp": lambda image: encoded(image, "BMP"),
}


@pytest.mark.parametrize("made", FILES)
@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_an_image_has_one_score_however_it_is_given(request, tmp_path, kind, made):
    detector = request.getfixturevalue(kind)
    shape = (80, 72) if kind == "grey" else (80, 72, 3)
    data = FILES[made](Image.fromarray(plates(1, 5, shape=shape)[0]))
    scores = {how: detector.anomaly_score(X) for how, X in ways(data, tmp_path).items()}
    for how, score in scores.items():
        np.testing.assert_allclose(score, scores["file"][0], rtol=0, atol=1e-6, err_msg=how)
    assert len(scores["mixed"]) == 5


def test_sixteen_bits_have_one_score_however_they_are_given(tmp_path):
    good = plates(16, 1).astype(np.uint16) * 20
    detector = ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(good)
    data = encoded(Image.fromarray(good[0] + np.uint16(3)), "TIFF")
    scores = [detector.anomaly_score(X) for X in ways(data, tmp_path).values()]
    np.testing.assert_allclose(np.concatenate(scores), scores[0][0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors_of_shares_of_white_are_taken(grey, dtype):
    unit = torch.from_numpy(plates(3, 6)).to(torch.float32).div(255)
    scores = grey.anomaly_score(unit[:, None].to(dtype).requires_grad_())
    assert scores.shape == (3,)
    if dtype != torch.bfloat16:
        np.testing.assert_allclose(scores, grey.anomaly_score(plates(3, 6)), atol=1e-3)


def test_training_takes_what_scoring_takes(grey):
    images = [Image.fromarray(image) for image in plates(16, 1)]
    again = ImageVAEDetector(SIZE, preset="fast", random_state=0).fit(images)
    np.testing.assert_array_equal(
        again.anomaly_score(plates(3, 6)), grey.anomaly_score(plates(3, 6))
    )


GOOD = plates(1, 7)[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([GOOD, None], "Image 1 of the list is None"),
        ([Image.fromarray(GOOD), 3.5], "Image 1 of the list is a float"),
        ([GOOD, {"image": GOOD}], "Image 1 of the list is a dict"),
        ([GOOD, "."], "is a folder among other images"),
        ({"image": GOOD}, "cannot be read from a dict"),
        ((image for image in [GOOD]), "cannot be read from a generator"),
        (7, "cannot be read from a int"),
        ([torch.zeros(3, 64, 3)], "no axis is clearly that of 1 or 3 channels"),
        (torch.zeros(3, 64, 64), "could be one image or several"),
        ([torch.zeros(2, 1, 64, 64)], "no axis is clearly"),
    ],
    ids=["None", "number", "dict in a list", "folder in a list", "dict", "generator", "int",
         "tensor of unclear axes", "one tensor or three", "batches in a list"],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_what_can(given, said):
    with pytest.raises(DataError, match=said.replace("(", r"\(")) as caught:
        open_images(given)
    if "axis" not in said and "folder" not in said and "several" not in said:
        assert "PIL images, encoded bytes, arrays" in str(caught.value)


def test_a_bad_image_of_a_list_is_named_by_its_place(grey):
    cut = encoded(Image.fromarray(GOOD), "JPEG")[:-200]
    with pytest.raises(ImageError, match="image 1 cannot be decoded") as caught:
        grey.anomaly_score([GOOD, cut])
    assert caught.value.code == "truncated"
    with pytest.raises(ImageError, match="image 1 cannot be decoded"):
        grey.anomaly_score([GOOD, Image.open(io.BytesIO(cut))])


def test_limits_are_told_with_the_list(grey, tmp_path):
    path = tmp_path / "large.png"
    Image.fromarray(plates(1, 8, shape=(100, 90))[0]).save(path)
    data = path.read_bytes()
    for given in ([path], data, Image.open(io.BytesIO(data))):
        small = open_images(given, reading=ImageReading(max_pixels=8999))
        with pytest.raises(ImageError, match=r"9,000 pixels \(90 x 100\).*--max-pixels 9000"):
            grey.anomaly_score(small)
    large = open_images([path], reading=ImageReading(max_pixels=9000))
    np.testing.assert_array_equal(grey.anomaly_score(large), grey.anomaly_score([path]))


@pytest.mark.parametrize(
    ("pixels", "remedy"),
    [
        (np.zeros((3, SIZE, SIZE), np.uint8), r"np\.moveaxis\(image, 0, -1\)"),
        (np.zeros((1, SIZE, SIZE), np.float32), r"np\.moveaxis\(image, 0, -1\)"),
        (np.zeros((SIZE, SIZE, 4), np.uint8), r"image\[\.\.\., :3\]"),
        (np.zeros((SIZE, SIZE, 2), np.uint8), "Split the channels"),
    ],
    ids=["three first", "one first", "transparent", "two"],
)
def test_channels_that_are_none_are_refused_with_the_way_to_make_them_so(grey, pixels, remedy):
    with pytest.raises(ImageError, match=f"1: Images have shape .*{remedy}"):
        grey.anomaly_score([GOOD, pixels])


def test_an_image_that_was_closed_is_called_closed(grey, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(GOOD).save(path)
    with Image.open(path) as lazy:
        assert grey.anomaly_score([lazy]).shape == (1,)
    with Image.open(path) as left:
        pass
    done = Image.open(path)
    done.load()
    done.close()
    for closed in (left, done):
        with pytest.raises(ImageError, match=r"image 0 was closed .* load\(\)"):
            grey.anomaly_score([closed])
