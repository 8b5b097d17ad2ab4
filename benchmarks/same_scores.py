"""Compare two checkouts to the byte: what they learn, what they say and what they write.

    python benchmarks/same_scores.py OLD NEW                         # both are run, side by side
    python benchmarks/same_scores.py --record RECORDED OLD           # run one side and keep it
    python benchmarks/same_scores.py RECORDED NEW --only 'image/*'   # so that it is run once
    python benchmarks/same_scores.py --list

OLD and NEW are folders of checkouts, or of results recorded before. Each side runs the
configurations of `same_scores_cases.py` and `same_scores_commands.py` in a process of its own, on
one thread, with this interpreter, and writes files: weights, calibration, raw scores, p-values,
evidence, contributions, reasons, maps, regions, output of the command line. Every file is compared
with its twin. One line is printed for each configuration; exit status 1 if one differs, fails, or
is missing on a side.

Results are worth comparing on one machine only. Old and new must be run by the same version of
these scripts: the recorded side knows by which it was made.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import hashlib
import json
import logging
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from datetime import datetime, tzinfo
from importlib import import_module
from pathlib import Path
from typing import Final

from same_scores_compare import RENAMED, compare

HERE = Path(__file__).resolve().parent
RECORD: Final = "record.json"
SCRIPTS: Final = ("data", "cases", "commands")  # what makes the results
SCRATCH: Final = "same-scores-"  # begins the names of the folders in which configurations run


# ---------------------------------------------------------------------- running a side


def scripts_digest() -> str:
    """Return the SHA-256 of what makes the results, so that a recording knows when it is old."""
    content = b"".join((HERE / f"same_scores_{name}.py").read_bytes() for name in SCRIPTS)
    return hashlib.sha256(content).hexdigest()


def start(checkout: Path, out: Path, patterns: list[str]) -> subprocess.Popen[str]:
    """Start the worker on a checkout; what it prints goes to a file beside the results."""
    if not (checkout / "vae_anomaly").is_dir():
        raise SystemExit(f"{checkout} is neither a checkout nor a folder made with --record.")
    out.mkdir(parents=True, exist_ok=True)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = os.environ | threads | {
        "PYTHONPATH": str(checkout.resolve()), "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0", "MLFLOW_DISABLE_TELEMETRY": "true", "MPLBACKEND": "Agg",
        "COLUMNS": "100",
    }  # fmt: skip
    with (out / "log.txt").open("w") as log:
        return subprocess.Popen(  # noqa: S603 - this interpreter, our own script
            [sys.executable, __file__, "--worker", str(out), *patterns],
            env=environment, cwd=tempfile.gettempdir(), text=True,
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip


def finish(side: subprocess.Popen[str], checkout: Path, out: Path) -> None:
    """Wait for a worker, and see that it ran the checkout and not an installed package."""
    code, log = side.wait(), (out / "log.txt").read_text()
    if code != 0:
        raise SystemExit(f"The worker failed:\n{log[-3000:]}")
    if Path(log.splitlines()[0]) != checkout.resolve():
        raise SystemExit(f"{checkout} was to be run, but {log.splitlines()[0]} was.")
    (out / RECORD).write_text(json.dumps({"scripts": scripts_digest()}) + "\n")


def results_of(sides: list[Path], keep: Path, patterns: list[str]) -> list[Path]:
    """Return a folder of results for each side, running those that are checkouts, at once."""
    folders, running = [], []
    for name, side in zip(("old", "new"), sides, strict=False):
        if (side / RECORD).is_file():
            made_by = json.loads((side / RECORD).read_text())["scripts"]
            if made_by != scripts_digest():
                print(f"note: {side} was recorded by another version of these scripts")
            folders.append(side)
            continue
        shutil.rmtree(keep / name, ignore_errors=True)
        running.append((start(side, keep / name, patterns), side, keep / name))
        folders.append(keep / name)
    for process, side, out in running:
        finish(process, side, out)
    return folders


# ---------------------------------------------------------------------- the worker


def chosen(patterns: list[str]) -> dict[str, Callable[[Path], None]]:
    """Return the configurations that match one of the patterns; all without any."""
    import same_scores_cases
    import same_scores_commands  # noqa: F401 - adds its own

    cases = same_scores_cases.CASES
    return {name: run for name, run in cases.items() if matches(name, patterns)}


def matches(name: str, patterns: list[str]) -> bool:
    return not patterns or any(fnmatch.fnmatch(name, one) for one in patterns)


def stop_the_clock() -> None:
    """Give the package's own code one fixed date, for models keep the day on which they were made.

    Its modules are all imported, so that none comes later with a clock of its own.
    """
    import vae_anomaly

    for found in pkgutil.walk_packages(vae_anomaly.__path__, "vae_anomaly.", lambda _: None):
        if not found.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # an extra that is not installed
                import_module(found.name)
    for name, module in list(sys.modules.items()):
        if name.startswith("vae_anomaly") and getattr(module, "datetime", None) is datetime:
            vars(module)["datetime"] = StoppedClock


class StoppedClock(datetime):
    """A datetime that is always noon of one day."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # no subclass
        """Return it."""
        return datetime(2026, 1, 2, 12, tzinfo=tz)


def work(out: Path, patterns: list[str]) -> None:
    """Run configurations, each in an empty folder of its own; what fails is written down."""
    import torch

    import vae_anomaly

    print(Path(vae_anomaly.__file__).parents[1])
    stop_the_clock()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    for name, run in chosen(patterns).items():
        started, folder = time.process_time(), out / name
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch, contextlib.chdir(scratch):
            try:
                run(folder)
            except BaseException:  # noqa: BLE001 - reported by the parent, and the others go on
                (folder / "FAILED.txt").write_text(traceback.format_exc(), encoding="utf-8")
        print(f"{time.process_time() - started:6.2f} CPU s  {name}", flush=True)


# ---------------------------------------------------------------------- the program


def cases_of(results: Path, patterns: list[str]) -> list[str]:
    """Return the configurations that a folder of results has, in the order of their names."""
    names = (path.relative_to(results).as_posix() for path in results.glob("*/*") if path.is_dir())
    return sorted(name for name in names if matches(name, patterns))


def report(old: Path, new: Path, patterns: list[str], *, full: bool) -> int:
    """Print a line for each configuration; return how many are not the same."""
    bad, changed = 0, 0
    names = sorted({*cases_of(old, patterns), *cases_of(new, patterns)})
    for name in names:
        differs, renamed = compare(old / name, new / name)
        bad += bool(differs)
        changed += bool(renamed) and not differs
        shown = differs if full else differs[:6]
        more = f", and {len(differs) - len(shown)} more files" if len(differs) > len(shown) else ""
        words = f"   (but for words in {', '.join(renamed)})" if renamed and not differs else ""
        print(f"{name:42} {'differs: ' + ', '.join(shown) + more if differs else 'same'}{words}")
    print(f"\n{len(names) - bad} of {len(names)} configurations are the same to the byte.")
    if changed:
        words = ", ".join(f"{a} -> {b}" for a, b in RENAMED.items())
        print(f"In {changed} of them words were changed before texts were compared: {words}.")
    return bad if names else 1


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("sides", nargs="*", type=Path, metavar="OLD NEW")
    parser.add_argument("--record", type=Path, metavar="DIR", help="keep the results of one side")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="PATTERN", help="such as 'table/*'"
    )
    parser.add_argument("--list", action="store_true", help="name the configurations")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the results there")
    parser.add_argument("--full", action="store_true", help="name every file that differs")
    told = parser.parse_args()
    wanted = 0 if told.list else 1 if told.record else 2
    if len(told.sides) < wanted or (told.record and len(told.sides) != 1):
        parser.error("give OLD and NEW, or --record DIR and one checkout")
    return told


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        work(Path(sys.argv[2]).absolute(), sys.argv[3:])
        return
    told, started = read_arguments(), time.perf_counter()
    if told.list:
        print("\n".join(chosen(told.only)))
        return
    if told.record:
        shutil.rmtree(told.record, ignore_errors=True)
        finish(start(told.sides[0], told.record, told.only), told.sides[0], told.record)
        failed = sorted(path.parent for path in told.record.rglob("FAILED.txt"))
        print("\n".join(f"failed: {path.relative_to(told.record)}" for path in failed))
        count = len(cases_of(told.record, []))
        print(f"{count} configurations recorded in {time.perf_counter() - started:.0f} s.")
        sys.exit(bool(failed))
    with tempfile.TemporaryDirectory() as scratch:
        keep = told.keep or Path(scratch)
        old, new = results_of(told.sides, keep, told.only)
        bad = report(old, new, told.only, full=told.full)
    print(f"{time.perf_counter() - started:.0f} s.")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
