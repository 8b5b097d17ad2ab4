"""Time a night of many small folders of images, and of the same images in one folder.

Run ``python benchmarks/small_folders.py DATA/casting [--folders 400] [--images 3]``, where the
folder has ``train/good`` and ``test/good``. For another version of the code set PYTHONPATH to its
checkout. A second night adds one folder. Images repeat: only time and files are measured.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from vae_anomaly import ImageVAEDetector
from vae_anomaly.batch import score_images


def main(data: Path, n_folders: int, n_images: int) -> None:
    sources = sorted((data / "test" / "good").iterdir())[:20]
    with tempfile.TemporaryDirectory() as scratch:
        model, night, flat = (Path(scratch, name) for name in ("model", "night", "flat"))
        train = sorted((data / "train" / "good").iterdir())[:100]
        ImageVAEDetector(preset="fast", random_state=0).fit(train).save(model)
        flat.mkdir()
        for number in range(n_folders):
            write(night / f"part{number:05d}", sources, number, n_images)
            write(flat, sources, number, n_images)
        timed("one folder", model, flat, Path(scratch, "out-flat"))
        timed(f"{n_folders} folders", model, night, Path(scratch, "out"))
        timed("again", model, night, Path(scratch, "out"))
        write(night / f"part{n_folders // 2:05d}b", sources, 0, n_images)
        timed("one folder more", model, night, Path(scratch, "out"))


def write(folder: Path, sources: list[Path], number: int, n_images: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for view in range(n_images):
        source = sources[(number + view) % len(sources)]
        shutil.copyfile(source, folder / f"{number:05d}_{view}{source.suffix}")


def timed(name: str, model: Path, night: Path, out: Path) -> None:
    start = time.perf_counter()
    done = score_images(model, night, out, heatmaps="none", masks="none")
    seconds = time.perf_counter() - start
    new = done.partitions - done.skipped
    print(
        f"{name:<16} {seconds:7.1f} s  {done.rows_in:,} images, {done.partitions} parts, {new} new"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--folders", type=int, default=400)
    parser.add_argument("--images", type=int, default=3)
    given = parser.parse_args()
    main(given.data, given.folders, given.images)
