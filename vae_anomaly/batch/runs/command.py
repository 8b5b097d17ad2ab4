"""What a run was asked for, kept in the ledger so that it can be gone on with: no credentials.

Whoever may write to an output folder may write to its ledger. What is read back is a model, an
input and options of `score_tables` or `score_images` by their names; it names no output folder and
no program to run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field

from vae_anomaly.batch.learning.options import LearnOptions
from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.names import spelled, typed, unspelled
from vae_anomaly.state import from_json
from vae_anomaly.tracking.network.answers import masked
from vae_anomaly.tracking.store import displayed, tracking_uri

_Value = str | int | float | bool | list[str] | None
_LIMITS: Final = ("false_alarms", "max_flag_rate", "max_quarantine_rate")
OPTIONS: Final = {
    "table": (
        "id_column", "batch_rows", "max_bad_fraction", "workers", "engine", "use_cached", "state",
        "group_by", "learn", "night", *_LIMITS,
    ),
    "images": (
        "heatmaps", "masks", "images_per_partition", "max_bad_fraction", "workers", "engine",
        "device", "use_cached", "follow_links", "learn", "night", "max_pixels", "max_bytes",
        "max_frames", "white", *_LIMITS,
    ),
}  # fmt: skip
"""The options that are kept, of each kind of run."""
_FLAGS: Final = {"use_cached": "--cached", "follow_links": "--follow-links"}
_USUAL: Final = {
    "max_bad_fraction": 0.05, "workers": 1, "engine": "local", "heatmaps": "flagged",
    "masks": "flagged", "device": "cpu", "use_cached": False, "follow_links": False,
}  # fmt: skip
_SHORT: Final = {"night": "--date"}
_IN_PYTHON_ALONE: Final = (
    "batch_rows", "images_per_partition", "false_alarms", "max_quarantine_rate",
)  # fmt: skip


@dataclass(frozen=True)
class Ending:
    """How a run is told, what ends it badly, and how many threads it has; no result hangs on it.

    Parameters
    ----------
    report : bool
        Whether its page is drawn.
    fail_on_anomaly, fail_on_drift : bool
    threads : int, optional
        Of each process, where that was asked for.
    """

    report: bool = True
    fail_on_anomaly: bool = False
    fail_on_drift: bool = False
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None

    def words(self) -> list[str]:
        """Return the options that ask for it."""
        flags = {
            "--no-report": not self.report,
            "--fail-on-anomaly": self.fail_on_anomaly,
            "--fail-on-drift": self.fail_on_drift,
        }
        threads = [] if self.threads is None else ["--threads", str(self.threads)]
        return [*(flag for flag, it in flags.items() if it), *threads]


_USUAL_ENDING: Final = Ending()
_ending: ContextVar[Ending] = ContextVar("ending", default=_USUAL_ENDING)


@contextmanager
def ending_as(ending: Ending) -> Iterator[None]:
    """Let the runs of the block write down how they end: commands and jobs know it alone."""
    token = _ending.set(ending)
    try:
        yield
    finally:
        _ending.reset(token)


@dataclass(frozen=True)
class RunCommand:
    """What a run was asked for.

    Parameters
    ----------
    kind : {"table", "images"}
    model : str
        As it was given; the absolute path of a folder.
    input : tuple of str
        Absolute paths, patterns or addresses.
    is_list : bool
        Whether a list was given: the ids of several inputs begin with the names of their folders.
    options : dict
        By the names of the function that scored, see `OPTIONS`.
    uri : str, optional
        The MLflow store of a registered model, without credentials.
    version : str, optional
        What a registered model was resolved to, ``models:/NAME/VERSION``.
    masked : tuple of str
        What had credentials, which are not kept: "model", "input", "uri".
    ending : Ending
    """

    kind: Literal["table", "images"]
    model: str
    input: tuple[str, ...]
    is_list: bool
    options: dict[str, _Value] = field(default_factory=dict)
    uri: str | None = None
    version: str | None = None
    masked: tuple[str, ...] = ()
    ending: Ending = Ending()

    def __post_init__(self) -> None:
        unknown = sorted(self.options.keys() - set(OPTIONS[self.kind]))
        if unknown:
            raise DataError(f"{unknown[0]!r} is no option that a run of kind {self.kind!r} keeps")

    @classmethod
    def of(
        cls,
        kind: Literal["table", "images"],
        model: str | Path,
        source: str | Path | Sequence[str | Path],
        uri: str | Path | None,
        options: Mapping[str, object],
        label: str = "",
    ) -> Self:
        """Return what is kept of what a run was asked for; paths no longer begin where it stood.

        ``label`` is what the model was resolved to, as results name it.
        """
        is_list = not isinstance(source, str | Path)
        given = [source] if isinstance(source, str | Path) else list(source)
        is_folder = Path(model).exists()
        told = {
            "model": (_absolute(model) if is_folder else str(model),),
            "input": tuple(map(_absolute, given)),
            "uri": () if is_folder and uri is None else (tracking_uri(uri),),
        }
        kept = {name: tuple(map(masked, texts)) for name, texts in told.items()}
        return cls(
            kind,
            spelled(kept["model"][0]),
            tuple(map(spelled, kept["input"])),
            is_list,
            {name: _plain(name, value) for name, value in options.items()},
            kept["uri"][0] if kept["uri"] else None,
            f"models:/{label}" if str(model).startswith("models:/") and label else None,
            tuple(name for name in told if told[name] != kept[name]),
            _ending.get(),
        )

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `written` gave; a ValueError or the like where it is nothing of the kind."""
        return from_json(cls, json.loads(text))

    def written(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    def of_night(self, learn: LearnOptions | None) -> Self:
        """Return it for the night that the run goes on with."""
        return replace(self, options={**self.options, **learn_told(learn)})

    @property
    def source(self) -> str | list[str]:
        """The input as it is given to the function that scores."""
        names = [unspelled(name) for name in self.input]
        return names if self.is_list else names[0]

    def store(self, uri: str | Path | None = None) -> str | Path | None:
        """Return the store to ask; one with credentials is that of the environment, or given.

        Raises
        ------
        ConfigError
            If an address had credentials that are not known here.
        """
        lost = [name for name in self.masked if name != "uri"]
        if lost:
            raise ConfigError(
                f"The {lost[0]} of that run had credentials in its address, which are kept "
                "nowhere. Give the whole command again."
            )
        if uri is not None or "uri" not in self.masked:
            return uri or self.uri
        here = tracking_uri(None)
        if displayed(here) == self.uri:
            return here
        raise ConfigError(
            f"The store of that run, {self.uri}, had credentials in its address, which are kept "
            "nowhere. Give it again with --tracking-uri."
        )

    def words(self, out: str | Path) -> str:
        """Return the command that asks for the same, to be typed."""
        words = ["vae-anomaly", "score", self.kind, self.model, *self.input, "--out", str(out)]
        for name, value in self.options.items():
            if isinstance(value, list):
                words += [part for one in value for part in ("--learn", one)]
                words += [] if value else ["--learn-evidence"]
            elif name in _FLAGS and value:
                words.append(_FLAGS[name])
            elif name not in _IN_PYTHON_ALONE and value is not None and value != _USUAL.get(name):
                words += [_SHORT.get(name, f"--{name.replace('_', '-')}"), str(value)]
        store = ["--tracking-uri", self.uri] if self.uri else []
        return typed(*words, *self.ending.words(), *store)


def learn_told(learn: LearnOptions | None) -> dict[str, _Value]:
    """Return the options that a run with learning keeps; nothing of others."""
    return {} if learn is None else {"learn": list(learn.columns), "night": learn.night}


def _absolute(path: str | Path) -> str:
    """Return a path or pattern from the root; an address stays what it is."""
    text = str(path)
    return text if "://" in text else os.path.abspath(Path(text).expanduser())  # noqa: PTH100 - keeps links


def _plain(name: str, value: object) -> _Value:
    if name == "state" and value is not None:
        return spelled(_absolute(str(value)))
    if value is None or isinstance(value, str | int | float | bool | list):
        return value
    raise TypeError(f"{name} is {type(value).__name__}, which no ledger keeps")
