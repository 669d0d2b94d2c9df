"""Reading a JSON object field by field: each reader returns the type it is named for or says BadRequest."""

import json
from typing import Any

from .refusals import BadRequest


class Fields:
    """One JSON object; `path` is how it is called in complaints."""

    __slots__ = ("_path", "_values")

    def __init__(self, values: dict[str, Any], path: str) -> None:
        self._values = values
        self._path = path

    @classmethod
    def of_json(cls, body: bytes, path: str) -> "Fields":
        """BadRequest when it is no JSON object."""
        try:
            values = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"{path} is not JSON") from error
        if not isinstance(values, dict):
            raise BadRequest(f"{path} must be a JSON object")
        return cls(values, path)

    def _complaint(self, name: str, wanted: str) -> BadRequest:
        return BadRequest(f"{self._path}.{name} must be {wanted}")

    def text(self, name: str, default: str | None = None) -> str:
        """A string without control characters; with no default it must be there and not be empty."""
        value = self._values.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (default is None and not value) or "\0" in value or "\n" in value:
            raise self._complaint(name, "a string on one line, not empty unless it may be left out")
        return value

    def optional_text(self, name: str) -> str | None:
        """A string, or None when it is not there."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, str):
            raise self._complaint(name, "a string")
        return value

    def number(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number in bounds; without a default it must be there."""
        value = self._values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self._complaint(name, f"a whole number from {least} to {most}")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """An object, empty when it is not there."""
        value = self._values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._complaint(name, "an object")
        return value

    def texts(self, name: str) -> dict[str, str]:
        """An object of strings that may become environment variables: no NUL, no `=` in a name."""
        values = self.mapping(name)
        for key, value in values.items():
            if not isinstance(value, str) or "\0" in value or not key or "\0" in key or "=" in key:
                raise self._complaint(name, "an object of strings")
        return values

    def optional_object(self, name: str) -> "Fields | None":
        """An object to read further, or None."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._complaint(name, "an object")
        return Fields(value, f"{self._path}.{name}")

    def objects(self, name: str) -> "list[Fields]":
        """A list of objects to read further."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._complaint(name, "a list of objects")
        return [Fields(item, f"{self._path}.{name}[{place}]") for place, item in enumerate(value)]
