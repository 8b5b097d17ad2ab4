"""Scripts that start workers: each worker imports the script again, so it must not start at once.

`multiprocessing` starts a worker as a new Python that imports the main script. A script that scores
at its top level would so score in each worker, which starts workers, and so on; Python ends that
with a page about "freeze_support". It is told before any work, in the words that help.
"""

from __future__ import annotations

import ast
import multiprocessing
import sys
from pathlib import Path

from vae_anomaly.errors import ConfigError

_GUARDS = {"__name__", "parent_process", "current_process", "freeze_support"}


def require_guard(workers: int) -> None:
    """Refuse to start workers from a script that each of them would run again.

    Raises
    ------
    ConfigError
        If the main script has no ``if __name__ == "__main__":``, or this is a worker that is just
        importing it.
    """
    script = _main_script()
    importing = getattr(multiprocessing.current_process(), "_inheriting", False)
    if importing or (script is not None and not _is_guarded(script)):
        raise ConfigError(
            f"{script or 'The script'} starts {workers} workers, and each of them runs the script "
            'again. Put what it does below a line `if __name__ == "__main__":`, or give workers=1.'
        )


def _main_script() -> Path | None:
    """Return the file that was started, None for a module, a notebook or a prompt."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is None or getattr(main, "__spec__", None) is not None:
        return None
    path = Path(file).absolute()
    return path if path.suffix == ".py" and path.is_file() else None


def _is_guarded(script: Path) -> bool:
    """Tell whether some condition at the top of a script asks who runs it."""
    try:
        tree = ast.parse(script.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return True  # whatever it is, it runs
    tests = [node.test for node in tree.body if isinstance(node, ast.If)]
    words = (part for test in tests for part in ast.walk(test))
    names = {getattr(word, "id", None) or getattr(word, "attr", None) for word in words}
    does_nothing = all(_is_definition(node) for node in tree.body)
    return does_nothing or bool(_GUARDS & names)


def _is_definition(node: ast.stmt) -> bool:
    """Tell whether a statement only defines or imports, or is a docstring or a constant."""
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return isinstance(node, kinds) or (
        isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign)
        and not any(isinstance(part, ast.Call) for part in ast.walk(node))
    )


def check_limits(max_bad_fraction: float, workers: int) -> None:
    """Refuse limits of a run that have no meaning."""
    if not 0.0 <= max_bad_fraction <= 1.0:
        raise ConfigError(
            f"max_bad_fraction is a share from 0 to 1; got {max_bad_fraction:g}. "
            "Write 0.05 for five in a hundred."
        )
    if workers < 1:
        raise ConfigError(f"workers must be at least 1; got {workers}.")
