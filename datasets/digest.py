r"""Print one SHA-256 for a file or folder, to compare with a card.

    python datasets/digest.py FOLDER

The digest is taken over one line for each file, sorted: its SHA-256, two spaces, its path relative
to FOLDER with forward slashes. Hidden files do not count. The same as

    cd FOLDER && find . -type f -not -path '*/.*' -printf '%P\n' | LC_ALL=C sort \
        | xargs -d '\n' sha256sum | sha256sum
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of one file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of the list of a folder's files and their SHA-256."""
    if path.is_file():
        return digest_of_file(path)
    files = [file.relative_to(path) for file in path.rglob("*") if file.is_file()]
    names = sorted(
        file.as_posix() for file in files if not any(part.startswith(".") for part in file.parts)
    )
    lines = [f"{digest_of_file(path / name)}  {name}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def main() -> None:
    """Print the digest of the path on the command line; exit 1 if it is not the expected one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--expect", metavar="HEX", help="exit with 1 if the digest differs")
    args = parser.parse_args()
    if not args.path.exists():
        sys.exit(f"{args.path} does not exist. Check the path.")
    digest = digest_of(args.path)
    print(digest)
    if args.expect and digest != args.expect.lower():
        sys.exit(f"Expected {args.expect}: this is another version of the data.")


if __name__ == "__main__":
    main()
