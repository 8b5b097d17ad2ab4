"""Errors that name what was wrong, what was received and what to do.

::

    VaeAnomalyError                     every error of ours
    ├── ConfigError (ValueError)        an option or parameter is wrong              exit 2
    ├── DataError (ValueError)          the input cannot be used                     exit 3
    │   ├── SchemaError                 columns or kinds differ from the model's
    │   ├── ImageError                  one image cannot be decoded
    │   └── NotEnoughDataError          too few rows or images
    ├── TrainingError (RuntimeError)    training cannot go on                        exit 1
    │   └── NonFiniteLossError          the loss became NaN or infinite
    ├── CalibrationError (ValueError)   scores cannot support the threshold asked    exit 3
    ├── TooManyBadItemsError            done, but too much went to quarantine        exit 4
    ├── ModelRefusedError (ValueError)  a model is missing, damaged or unfit         exit 5
    ├── GateFailedError                 an evaluation, drift or promotion gate failed exit 6
    ├── RegistryUnavailableError (ConnectionError)  tracking server or registry away exit 69
    │   └── RegistryDeniedError         it answers, but does not let us in           exit 69
    ├── AlarmUndeliveredError (ConnectionError)  nobody could be told of an alarm    exit 69
    ├── ObjectStoreError (ConnectionError)  an object store is away, or closed to us exit 69
    ├── StorageError (OSError)          disk full, not writable                      exit 74
    ├── LockedError                     another run holds the output folder          exit 75
    └── MissingExtraError (ImportError) an optional dependency is not installed      exit 2

Every class carries the exit code that the command line returns for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar, Final

from vae_anomaly.names import printable
from vae_anomaly.words import shortened

_NO_MEMORY: Final = re.compile("not enough memory|can't allocate memory|out of memory|bad_alloc")


class VaeAnomalyError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """Return the message, of bounded length and without signs that a terminal would obey."""
        return printable(shortened(super().__str__()))


class ConfigError(VaeAnomalyError, ValueError):
    """An option or parameter has a value that cannot be used."""

    exit_code = 2


class DataError(VaeAnomalyError, ValueError):
    """The input cannot be used as it is."""

    exit_code = 3


class SchemaError(DataError):
    """The columns of a table, or their kinds, are not those of the model."""


class ImageError(DataError):
    """One image cannot be decoded or is refused.

    Its ``code`` is a short machine-readable reason, for example ``"truncated"``.
    """

    def __init__(self, message: str, *, code: str = "unreadable") -> None:
        super().__init__(message)
        self.code = code


class NotEnoughDataError(DataError):
    """Too few rows or images for what was asked."""


class TrainingError(VaeAnomalyError, RuntimeError):
    """Training cannot go on."""


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite."""


class CalibrationError(VaeAnomalyError, ValueError):
    """The scores given cannot support the calibration or threshold asked for."""

    exit_code = 3


class TooManyBadItemsError(VaeAnomalyError):
    """The job is done, but more items went to quarantine than allowed, or a part of the input."""

    exit_code = 4


class ModelRefusedError(VaeAnomalyError, ValueError):
    """A model is missing, damaged, of another kind or version, or unfit for the input."""

    exit_code = 5


class GateFailedError(VaeAnomalyError):
    """A gate that was asked for (evaluation, drift, promotion) did not pass."""

    exit_code = 6


class RegistryUnavailableError(VaeAnomalyError, ConnectionError):
    """The tracking server or model registry does not answer."""

    exit_code = 69


class RegistryDeniedError(RegistryUnavailableError):
    """The tracking server answers, but not to these credentials; nothing stands in for it."""


class AlarmUndeliveredError(VaeAnomalyError, ConnectionError):
    """A command or a web address that was to be told of an alarm did not take it."""

    exit_code = 69


class ObjectStoreError(VaeAnomalyError, ConnectionError):
    """An object store does not answer, or does not let us in."""

    exit_code = 69


class StorageError(VaeAnomalyError, OSError):
    """A file cannot be written: disk full, no permission, or the device failed."""

    exit_code = 74


class LockedError(VaeAnomalyError):
    """Another run holds the output folder."""

    exit_code = 75


class MissingExtraError(VaeAnomalyError, ImportError):
    """An optional dependency is needed; the message holds the install command."""

    exit_code = 2


def check_parameter(fine: bool, owner: object, name: str, expected: str, value: object) -> None:
    """Refuse the value of a parameter of a class unless it is fine; ``expected`` says what is."""
    if not fine:
        raise ConfigError(
            f"The {name!r} parameter of {type(owner).__name__} must be {expected}. Got {value!r}."
        )


def lacks_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory did not suffice, of a GPU or of this machine.

    Examples
    --------
    >>> lacks_memory(MemoryError()), lacks_memory(RuntimeError("CUDA out of memory. Tried to ..."))
    (True, True)
    """
    by_torch = isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None
    return by_torch or isinstance(error, MemoryError)


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)", or nothing where no name is near."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    near = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[near[0]]!r}?)" if near else ""
