"""Small facts kept as JSON files of their own: frozen, checked when read, never pickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from vae_anomaly.errors import DataError
from vae_anomaly.files import write_json


class JsonRecord(BaseModel):
    """A frozen record that is written as JSON and read back; unknown fields are refused.

    Attributes
    ----------
    noun : str
        What a file holds, for messages: "a threshold".
    remedy : str
        How to make one, for messages.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    noun: ClassVar[str]
    remedy: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary; `from_dict` reads it back."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Rebuild a record from `to_dict`.

        Raises
        ------
        DataError
            If a field is missing, unknown or of the wrong type.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as err:
            first = err.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise DataError(f"Not {cls.noun}: {first['msg']} at {where}. {cls.remedy}") from None

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
            fields = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as err:
            raise DataError(f"Cannot read {cls.noun} from {path}: {err}. {cls.remedy}") from None
        return cls.from_dict(fields)
