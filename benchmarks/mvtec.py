"""Measure `ImageVAEDetector()` on MVTec AD: image AUROC, pixel AUROC and AUPRO (30 % FPR).

    OMP_NUM_THREADS=1 python benchmarks/mvtec.py DIR
    OMP_NUM_THREADS=1 python benchmarks/mvtec.py DIR --categories bottle screw --presets fast

DIR holds the archive as it is unpacked: ``<category>/train/good``, ``test/<kind>`` and
``ground_truth/<kind>/<name>_mask.png``; or is one such category. The set is not ours to ship: its
owner gives it to who asks, under CC BY-NC-SA 4.0. One configuration serves all categories, and no
label chooses anything. Floors stand in the same tables. Pixel figures are measured on a grid of
256 x 256; where a category has no masks, they are left out. Results are kept in ``--out`` one by
one: a run that was ended continues.
"""

from __future__ import annotations

from pathlib import Path

from image_categories import choose, parser, run
from image_methods import Split, folder_split

LAYOUT = "<category>/train/good, <category>/test/<kind>"


def categories(root: Path) -> list[str]:
    """Return the categories of a folder; its own name where it is one itself."""
    if is_category(root):
        return [root.resolve().name]
    return sorted(path.parent.parent.name for path in root.glob("*/train/good"))


def read(root: Path, category: str) -> Split:
    """Return the split of a category."""
    return folder_split(root if is_category(root) else root / category)


def is_category(folder: Path) -> bool:
    """Tell whether a folder is one category."""
    return (folder / "train" / "good").is_dir()


def main(arguments: list[str] | None = None) -> None:
    args = parser(__doc__, "mvtec-results.jsonl").parse_args(arguments)
    run(args, choose(categories(args.folder), args.categories, args.folder, LAYOUT), read)


if __name__ == "__main__":
    main()
