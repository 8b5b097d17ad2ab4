"""Change one kind of file as `fuzz.py` does, guided by the lines of this package that are reached.

    pip install atheris
    python benchmarks/fuzz_guided.py 'image TIFF' --cases 20000
    python benchmarks/fuzz_guided.py schema

What reaches new lines is kept and changed further. It ends at the first fault, with its traceback
and the file that shows it. ``fuzz.py --list`` names the kinds of files.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vae_anomaly"], enable_loader_override=False):
    from fuzz_records import targets

    from vae_anomaly.errors import VaeAnomalyError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("name", help="of a kind of file")
    parser.add_argument("--cases", type=int, default=20_000)
    given = parser.parse_args()
    target = next(one for one in targets() if one.name == given.name)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(target.seeds()):
        (corpus / f"{number}").write_bytes(data)

    def read(data: bytes) -> None:
        with suppress(VaeAnomalyError):
            target.read(data, folder)

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        dice = random.Random(seed)  # noqa: S311 - no secret
        try:
            return target.change(data, dice)[:max_size]
        except (ValueError, RecursionError, IndexError):  # what was changed before is no JSON
            return dice.choice(target.seeds())

    limits = [f"-runs={given.cases}", "-max_len=100000", "-timeout=10", "-rss_limit_mb=4000"]
    words = [sys.argv[0], *limits, f"-artifact_prefix={folder}/", str(corpus)]
    atheris.Setup(words, read, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
