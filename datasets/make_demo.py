"""Write the demo's input, images and transactions, and print what identifies it.

    python datasets/make_demo.py OUT --random-state 0

OUT gets `images/` (train/good, test/<kind>, ground_truth/<kind>; PNG) and `transactions/`
(days/<date>.parquet without labels, labels.parquet). Printed: a digest of the content, one for each
part, to compare with the card in `datasets/cards/demo.md`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.data.images.folders import list_images
from vae_anomaly.data.synthetic import write_surfaces, write_transactions
from vae_anomaly.data.tables.read import fingerprint, read_table

IMAGES = (200, 60, 60)
ROWS, DAYS = 60_000, 30


def digest_of_images(folder: Path) -> str:
    """Return a SHA-256 over ids, shapes and pixels of images and masks, not over file bytes."""
    total = hashlib.sha256()
    for item in list_images(folder):
        for path in (item.path, item.mask):
            if path is not None:
                pixels = decode_image(path)
                total.update(f"{item.id} {pixels.shape} {pixels.dtype}\n".encode())
                total.update(pixels.tobytes())
    return total.hexdigest()


def digest_of_transactions(folder: Path) -> str:
    """Return a SHA-256 over the values of all days and labels, not over file bytes."""
    parts = [
        fingerprint(read_table(folder / name))["sha256"] for name in ("days", "labels.parquet")
    ]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def make_demo(
    folder: Path,
    random_state: int = 0,
    images: tuple[int, int, int] = IMAGES,
    rows: int = ROWS,
    days: int = DAYS,
) -> dict[str, str]:
    """Write both parts and return their digests."""
    written = write_surfaces(folder / "images", *images, random_state=random_state)
    transactions = write_transactions(
        folder / "transactions", rows, days, random_state=random_state
    )
    return {
        "images": digest_of_images(written),
        "transactions": digest_of_transactions(transactions),
    }


def main() -> None:
    """Read the command line, write, print the digests as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path, help="folder to write to; made where it does not exist")
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument(
        "--images", type=int, nargs=3, default=IMAGES, metavar=("TRAIN", "TEST", "DEFECTIVE")
    )
    parser.add_argument(  # the former name of --images
        "--pictures", dest="images", type=int, nargs=3, default=IMAGES, help=argparse.SUPPRESS
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--days", type=int, default=DAYS)
    args = parser.parse_args()
    digests = make_demo(
        args.out, args.random_state, tuple(args.images), rows=args.rows, days=args.days
    )
    print(json.dumps(digests, indent=2))


if __name__ == "__main__":
    main()
