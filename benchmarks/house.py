"""Measure the house: how long files and functions are, how much is untyped, what one row enters.

    python benchmarks/house.py                      the checkout that is imported
    python benchmarks/house.py --walk score table MODEL ROW --out OUT

A walk counts the files that a scoring command enters. It runs twice, first into OUT-before, and
counts in the second run, when every module is loaded; the model is read anew.
Circles, layers, folders and lengths are held by tests/test_architecture.py.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import numpy as np

import vae_anomaly

ROOT = Path(vae_anomaly.__file__).parent
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (ast.Module, ast.ClassDef, *FUNCTIONS)


def docstring_lines(node: ast.AST) -> int:
    if not isinstance(node, DOCUMENTED) or ast.get_docstring(node, clean=False) is None:
        return 0
    return (node.body[0].end_lineno or 0) - node.body[0].lineno + 1


def annotations(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.AnnAssign):
        yield node.annotation
    if isinstance(node, FUNCTIONS):
        a = node.args
        arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]
        yield from (arg.annotation for arg in arguments if arg and arg.annotation)
        yield from [node.returns] if node.returns else []


def says_any(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "Any"


def measure() -> None:
    counts, lengths, folders = Counter[str](), [], Counter[Path]()
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        nodes = list(ast.walk(ast.parse(text)))
        lines = text.splitlines()
        folders[path.parent] += path.name != "__init__.py"
        counts["files"] += 1
        counts["lines"] += len(lines)
        documented = sum(map(docstring_lines, nodes))
        blank = sum(not line.strip() for line in lines)
        blank_in_docstrings = sum(
            (ast.get_docstring(n) or "").count("\n\n") for n in nodes if isinstance(n, DOCUMENTED)
        )
        counts["lines of code"] += len(lines) - documented - blank + blank_in_docstrings
        counts["lines of docstrings"] += documented
        for node in nodes:
            counts["Any"] += sum(says_any(n) for a in annotations(node) for n in ast.walk(a))
            if isinstance(node, FUNCTIONS):
                lengths.append((node.end_lineno or 0) - node.lineno + 1 - docstring_lines(node))
    for name, count in counts.items():
        print(f"{name:32}{count:8,}")
    print(
        f"{'Any per 1,000 lines of code':32}{1000 * counts['Any'] / counts['lines of code']:8.1f}"
    )
    print(f"{'modules of the largest folder':32}{max(folders.values()):8}")
    quantiles = np.quantile(lengths, [0.5, 0.9, 0.99], method="lower").tolist()
    print(f"functions: median, p90, p99 {quantiles}, longest {max(lengths)}")


def walk(arguments: list[str]) -> None:
    from vae_anomaly.batch.plan import loaded_detector
    from vae_anomaly.cli import cli

    out = arguments[arguments.index("--out") + 1]
    before = [f"{argument}-before" if argument == out else argument for argument in arguments]
    entered, calls = Counter[str](), Counter[str]()

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(f"{ROOT}/") and code.co_flags & 1:
            name = str(Path(code.co_filename).relative_to(ROOT))
            entered[name] += 1
            calls[f"{name} {code.co_qualname}"] += 1

    with contextlib.redirect_stdout(io.StringIO()):
        cli.main(args=before, standalone_mode=False)
        loaded_detector.cache_clear()
        sys.setprofile(note)
        try:
            cli.main(args=arguments, standalone_mode=False)
        finally:
            sys.setprofile(None)
    print(f"{len(entered)} files, {len(calls)} functions")
    print("\n".join(f"  {name:40}{count:8,} calls" for name, count in entered.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--walk", nargs=argparse.REMAINDER, metavar="COMMAND")
    chosen = parser.parse_args().walk
    walk(chosen) if chosen else measure()
