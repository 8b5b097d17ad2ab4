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
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import load as load_tensors

HERE = Path(__file__).resolve().parent
RECORD = "record.json"

# Words that the redesign changes. Where a text differs, both sides are read with these words
# changed, and the line says so; numbers are never touched, and neither are saved models.
RENAMED: Final = {
    "pictures": "images",
    "picture": "image",
    "Pictures": "Images",
    "Picture": "Image",
    '"heat":': '"heatmap":',
    '"scored":': '"score_map":',
}
# What may differ, by name, and why.
LEFT_OUT: Final = {
    "ledger.sqlite": "holds times and durations of a run",
    "ledger.sqlite-wal": "as the ledger",
    "ledger.sqlite-shm": "as the ledger",
}
TEXT = {".txt", ".json", ".jsonl", ".csv"}
SCRATCH = "same-scores-"  # begins the names of the folders in which configurations run
# What is blanked in texts before they are compared, and why.
BLANKED: Final = {
    rb'"package_version": "[^"]*"': "a new version may say the same",
    rb'"seconds": [0-9.e+-]+': "durations",
    rb"\bin [0-9.,]+ (s|min)\b": "durations in words",
    rb"/[^ \"']*/same-scores-[a-z0-9_]+/": "the folder in which the configuration ran",
    rb'(?<=\.jsonl": )"[0-9a-f]{64}"': "digest of a text with that folder; it is compared itself",
}


# ---------------------------------------------------------------------- running a side


def scripts_digest() -> str:
    """Return the SHA-256 of what makes the results, so that a recording knows when it is old."""
    content = b"".join(path.read_bytes() for path in sorted(HERE.glob("same_scores_*.py")))
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


def work(out: Path, patterns: list[str]) -> None:
    """Run configurations, each in an empty folder of its own; what fails is written down."""
    import torch

    import vae_anomaly

    print(Path(vae_anomaly.__file__).parents[1])
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


# ---------------------------------------------------------------------- comparing


def files_of(folder: Path) -> dict[str, Path]:
    """Return the files below a folder by their relative names, less what may differ."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in LEFT_OUT)
    return {path.relative_to(folder).as_posix(): path for path in sorted(found)}


def cases_of(results: Path, patterns: list[str]) -> list[str]:
    """Return the configurations that a folder of results has, in the order of their names."""
    names = (path.relative_to(results).as_posix() for path in results.glob("*/*") if path.is_dir())
    return sorted(name for name in names if matches(name, patterns))


def compare(old: Path, new: Path) -> tuple[list[str], list[str]]:
    """Return what differs between the files of a configuration, and which were renamed."""
    differs, renamed = [], []
    ours, theirs = files_of(old), files_of(new)
    if not ours or not theirs:
        return [f"missing on the {'new' if ours else 'old'} side"], []
    for name in sorted({*ours, *theirs}):
        if name == "FAILED.txt":
            sides = [side for side, files in (("old", ours), ("new", theirs)) if name in files]
            text = (theirs if name in theirs else ours)[name].read_text().strip().splitlines()[-1]
            differs.append(f"failed ({' and '.join(sides)}: {text[:200]})")
        elif name not in ours or name not in theirs:
            differs.append(f"{name} ({'new' if name in theirs else 'old'} side only)")
        elif read(ours[name]) != read(theirs[name]):
            if same_words(ours[name], theirs[name]):
                renamed.append(name)
            else:
                differs.append(f"{name} ({difference(ours[name], theirs[name])})")
    return differs, renamed


def read(path: Path) -> bytes:
    """Return the bytes of a file, less what `BLANKED` says."""
    content = path.read_bytes()
    if path.name == "SHA256SUMS":  # the header is compared itself, less its version
        return b"\n".join(line for line in content.splitlines() if b"detector.json" not in line)
    if path.suffix in TEXT:
        for pattern in BLANKED:
            content = re.sub(pattern, b"", content)
    return content


def in_new_words(text: str) -> str:
    for word, other in RENAMED.items():
        text = text.replace(word, other)
    return text


def same_words(old: Path, new: Path) -> bool:
    """Tell whether two texts or tables are the same but for `RENAMED`; models are never asked."""
    if old.parent.name == "model":
        return False
    if old.suffix in TEXT:
        one, other = (in_new_words(read(path).decode()) for path in (old, new))
        if old.name == "manifest.json":  # the files whose digests it holds are compared themselves
            one, other = (without_digests(text) for text in (one, other))
        return one == other
    if old.suffix == ".parquet":
        one, other = (in_new_words(repr(cells(path))) for path in (old, new))
        return one == other
    return False


def without_digests(text: str) -> str:
    manifest = json.loads(text)
    for partition in manifest["partitions"]:
        partition["files"] = sorted(partition["files"])
        del partition["output_sha256"]
    return json.dumps(manifest)


def cells(path: Path) -> list[tuple[str, str, list[Any]]]:
    """Return name, type and exact values of each column of a parquet file."""
    table = pq.read_table(path)
    columns = zip(table.column_names, table.columns, strict=True)
    return [
        (name, str(column.type), [exact(value) for value in column.to_pylist()])
        for name, column in columns
    ]


def exact(value: Any) -> Any:
    return value.hex() if isinstance(value, float) else value


# ---------------------------------------------------------------------- saying what differs


def difference(old: Path, new: Path) -> str:
    """Say in a few words how two files differ."""
    if old.suffix == ".npy":
        return arrays_differ(np.load(old), np.load(new))
    if old.suffix == ".safetensors":
        ours, theirs = load_tensors(old.read_bytes()), load_tensors(new.read_bytes())
        return few(list(named_differences(ours, theirs)))
    if old.suffix == ".parquet":
        return few(list(named_differences(*(columns_of(path) for path in (old, new)))))
    if old.suffix == ".json":
        one, other = (json.loads(path.read_text(encoding="utf-8")) for path in (old, new))
        return few(list(json_differences(one, other, "")))
    if old.suffix in TEXT:
        return lines_differ(read(old).decode(), read(new).decode())
    return f"{old.stat().st_size} and {new.stat().st_size} bytes"


def arrays_differ(one: Any, other: Any) -> str:
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{one.dtype}{list(one.shape)} -> {other.dtype}{list(other.shape)}"
    if one.dtype.kind not in "fiub":
        return f"{int((one != other).sum())} of {one.size} differ"
    apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return f"max |diff| {np.nanmax(apart, initial=0.0):.3g}"


def same_array(one: Any, other: Any) -> bool:
    if one.dtype == object:
        return list(one) == list(other)
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def columns_of(path: Path) -> dict[str, Any]:
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


def named_differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    """Say which arrays of two dictionaries differ, and by how much."""
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        if name not in ours or name not in theirs:
            yield f"{name}: {'new' if name in theirs else 'old'} side only"
        elif not same_array(ours[name], theirs[name]):
            yield f"{name}: {arrays_differ(ours[name], theirs[name])}"
    if list(ours) != list(theirs):
        yield "other order"


def json_differences(one: Any, other: Any, at: str) -> Iterator[str]:
    """Yield each place where two documents differ; floats are there as hexadecimal text."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            if key not in one or key not in other:
                yield f"{at}/{key}: {'new' if key in other else 'old'} side only"
            else:
                yield from json_differences(one[key], other[key], f"{at}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from json_differences(a, b, f"{at}[{number}]")
    elif one != other:
        yield f"{at}: {readable(one)} -> {readable(other)}"


def readable(value: Any) -> str:
    try:
        return f"{float.fromhex(value):.9g}"
    except (TypeError, ValueError, OverflowError):
        return f"{value!r}"[:60]


def lines_differ(one: str, other: str) -> str:
    pairs = zip(one.splitlines(), other.splitlines(), strict=False)
    first = next(((a, b) for a, b in pairs if a != b), ("", "other length"))
    return f"{first[0][:70]!r} -> {first[1][:70]!r}"


def few(said: list[str], most: int = 3) -> str:
    more = f"; and {len(said) - most} more" if len(said) > most else ""
    return "; ".join(said[:most]) + more or "order or form of the file"


# ---------------------------------------------------------------------- the program


def report(old: Path, new: Path, patterns: list[str], *, full: bool) -> int:
    """Print a line for each configuration; return how many are not the same."""
    bad, changed = 0, 0
    names = sorted({*cases_of(old, patterns), *cases_of(new, patterns)})
    for name in names:
        differs, renamed = compare(old / name, new / name)
        bad += bool(differs)
        changed += bool(renamed)
        shown = differs if full else differs[:6]
        more = f", and {len(differs) - len(shown)} more files" if len(differs) > len(shown) else ""
        words = f"   (words changed: {', '.join(renamed)})" if renamed else ""
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
