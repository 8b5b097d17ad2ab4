"""Change every file that is read, many times, and see that nothing but errors of ours comes out.

    python benchmarks/fuzz.py --cases 20000                  of each kind of file
    python benchmarks/fuzz.py --cases 2000 --only 'model *' --jobs 2
    python benchmarks/fuzz.py --list

A case is a valid file after one or a few changes: bits, pieces, sizes, cells, values of JSON,
numbers of a model, whose digests are made anew. It is read and used as far as its scores. A fault
is an exception that is no `VaeAnomalyError`, a score that is not finite, a case of more than ten
seconds, or one that takes 300 MB. Each fault is told once, with the file that shows it.
"""

from __future__ import annotations

import argparse
import fnmatch
import logging
import multiprocessing
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

from fuzz_records import targets
from fuzz_targets import Target

from vae_anomaly.errors import VaeAnomalyError

SECONDS, MEGABYTES = 10, 300
KEPT = Path(tempfile.gettempdir()) / "fuzz-faults"


@dataclass
class Outcome:
    """What became of the cases of one kind of file."""

    name: str
    cases: int = 0
    refused: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)


def fault_of(target: Target, data: bytes, folder: Path) -> str | None:
    """Read a case; return "" where it is fine, "refused", or what is wrong with it."""
    before = peak_mb()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        target.read(data, folder)
        told = ""
    except VaeAnomalyError as err:
        told = "refused" if str(err) else "an error without a message"
    except Exception as err:  # noqa: BLE001 - what is looked for
        told = f"{type(err).__name__} {place_of(err)}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if peak_mb() - before > MEGABYTES:
        told = f"{peak_mb() - before:.0f} MB more"
    return told


def place_of(err: BaseException) -> str:
    """Return the line of this package that an exception came through last."""
    frames = [f for f in traceback.extract_tb(err.__traceback__) if "vae_anomaly" in f.filename]
    if not frames:
        return ""
    return f"at {frames[-1].filename.rpartition('vae_anomaly/')[2]}:{frames[-1].lineno}"


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _hangs(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def fuzz(name: str, cases: int, seed: int) -> Outcome:
    """Try one kind of file."""
    quiet()
    signal.signal(signal.SIGALRM, _hangs)
    target = next(one for one in targets() if one.name == name)
    outcome, started = Outcome(name), time.perf_counter()
    seeds = target.seeds()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    for data in seeds:
        target.read(data, folder)  # a valid file is read
    for number in range(cases):
        dice = random.Random(f"{seed} {name} {number}")  # noqa: S311 - no secret
        data = target.change(dice.choice(seeds), dice)
        told = fault_of(target, data, folder)
        outcome.cases += 1
        outcome.refused += told == "refused"
        if told and told != "refused":
            outcome.faults[told] += 1
            if outcome.faults[told] == 1:
                keep(name, len(outcome.faults), data)
    shutil.rmtree(folder)
    outcome.seconds = time.perf_counter() - started
    return outcome


def keep(name: str, number: int, data: bytes) -> None:
    """Keep the file that showed a fault."""
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{name.replace(' ', '-').replace('/', '-').replace('*', '')}-{number}").write_bytes(
        data
    )


def quiet() -> None:
    warnings.simplefilter("ignore")
    logging.getLogger("vae_anomaly").setLevel(logging.CRITICAL)


def told(outcome: Outcome) -> None:
    print(f"{outcome.name:36} {outcome.cases:7,} cases  {outcome.refused:7,} refused  "
          f"{outcome.seconds:6.0f} s  {len(outcome.faults)} faults", flush=True)  # fmt: skip
    for fault, n in outcome.faults.most_common():
        print(f"    {n:5} x {fault}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cases", type=int, default=500, help="of each kind")
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    names = [one.name for one in targets() if any(fnmatch.fnmatch(one.name, p) for p in given.only)]
    if given.list:
        print("\n".join(names))
        return
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(given.jobs, multiprocessing.get_context("fork")) as pool:
        for outcome in pool.map(partial(fuzz, cases=given.cases, seed=given.seed), names):
            told(outcome)
            outcomes.append(outcome)
    faults = sum(len(one.faults) for one in outcomes)
    n = sum(one.cases for one in outcomes)
    print(f"{n:,} cases of {len(outcomes)} kinds of files, {faults} faults")
    if faults:
        sys.exit(f"The files that showed them are in {KEPT}.")


if __name__ == "__main__":
    main()
