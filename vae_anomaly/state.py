"""What is saved, as plain values: facts as JSON, and the arrays of parts under a name each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from vae_anomaly.arrays import AnyArray
from vae_anomaly.errors import DataError
from vae_anomaly.files import parsed_json, write_json
from vae_anomaly.words import reason_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Json = dict[str, Any]
"""An object of JSON."""

Array = TypeVar("Array")
Record = TypeVar("Record", bound="DataclassInstance")


def named(parts: Mapping[str, Mapping[str, Array]]) -> dict[str, Array]:
    """Return the arrays of all parts under ``part.array``."""
    return {f"{part}.{name}": array for part, own in parts.items() for name, array in own.items()}


def under(part: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays of one part, without its name; none where there is no such part."""
    start = f"{part}."
    return {name.removeprefix(start): v for name, v in arrays.items() if name.startswith(start)}


def from_json(kind: type[Record], values: Mapping[str, object]) -> Record:
    """Make a frozen dataclass of what ``asdict`` gave, also after a way through JSON.

    Lists become tuples, and nested values become what their fields are. A field that is missing,
    unknown or of another type is a DataError.

    Examples
    --------
    >>> import json
    >>> from dataclasses import asdict, dataclass
    >>> @dataclass(frozen=True)
    ... class Grid:
    ...     sizes: tuple[int, ...]
    >>> from_json(Grid, json.loads(json.dumps(asdict(Grid((2, 3))))))
    Grid(sizes=(2, 3))
    """
    unknown = sorted(values.keys() - {field.name for field in fields(kind)})
    if unknown:
        raise DataError(f"Not a {kind.__name__}: {unknown[0]!r} is none of its fields.")
    try:
        record: Record = _adapter(kind).validate_python(dict(values))
    except ValidationError as err:
        raise DataError(f"Not a {kind.__name__}: {first_fault(err)}.") from None
    return record


def check_sizes(sizes: Mapping[str, int], arrays: Mapping[str, AnyArray]) -> None:
    """Refuse a size that no saved array has; what is built by it would take all memory."""
    most = max((side for array in arrays.values() for side in array.shape), default=0)
    for name, size in sizes.items():
        if not 0 <= size <= most:
            raise DataError(f"{name} is {size:,}, where no saved array has a side above {most:,}.")


class JsonRecord(BaseModel):
    """A frozen record that is written as JSON and read back; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    noun: ClassVar[str]  # what a file holds, for messages: "a threshold"
    remedy: ClassVar[str]  # how to make one, for messages

    def to_dict(self) -> Json:
        """Return a JSON-able dictionary; `from_dict` reads it back."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, fields: Json) -> Self:
        """Rebuild a record from `to_dict`.

        Raises
        ------
        DataError
            If a field is missing, unknown or of the wrong type.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as err:
            raise DataError(f"Not {cls.noun}: {first_fault(err)}. {cls.remedy}") from None

    def save(self, path: str | Path) -> None:
        """Write the record as JSON, in one step."""
        write_json(self.to_dict(), path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a record from JSON.

        Raises
        ------
        DataError
            If the file is missing, is not JSON or is no such record.
        """
        try:
            fields = parsed_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as err:
            raise DataError(
                f"Cannot read {cls.noun} from {path}: {reason_of(err)}. {cls.remedy}"
            ) from None
        return cls.from_dict(fields)


@cache
def _adapter(kind: type[Record]) -> TypeAdapter[Record]:
    return TypeAdapter(kind)


def first_fault(err: ValidationError) -> str:
    """Return the first thing that is wrong with a record, and where."""
    first = err.errors()[0]
    return f"{first['msg']} at {'.'.join(map(str, first['loc'])) or 'the whole'}"
