"""JSON from outside, read with checks: every look says what is expected there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import FormatError
from .container import is_text

__all__ = ["Record"]

LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Record:
    """A JSON object, and where in the file it stands."""

    values: dict[str, Any]
    where: str

    @staticmethod
    def of(value: object, where: str) -> Record:
        if not isinstance(value, dict):
            raise FormatError(f"{where}: expected an object")
        return Record(value, where)

    def wrong(self, key: str, expected: str) -> FormatError:
        return FormatError(f"{self.where}: expected {key} to be {expected}")

    def has(self, key: str) -> bool:
        return self.values.get(key) is not None

    def text(self, key: str, longest: int = LONGEST) -> str:
        value: Any = self.values.get(key)
        if not is_text(value) or len(value) > longest:
            raise self.wrong(key, f"a text of at most {longest} characters")
        return value

    def one_of(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or value not in choices:
            raise self.wrong(key, f"one of {', '.join(choices)}")
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def natural(self, key: str, below: int) -> int:
        value = self.values.get(key)
        if type(value) is not int or not 0 <= value < below:
            raise self.wrong(key, f"a whole number from 0 to {below - 1}")
        return value

    def items(self, key: str) -> list[Any]:
        value = self.values.get(key)
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.items(key)
        if not all(is_text(each) and len(each) <= LONGEST for each in value):
            raise self.wrong(key, f"a list of texts of at most {LONGEST} characters")
        return tuple(value)

    def record(self, key: str) -> Record:
        return Record.of(self.values.get(key), f"{self.where}.{key}")

    def records(self, key: str) -> list[Record]:
        return [
            Record.of(each, f"{self.where}.{key}[{place}]")
            for place, each in enumerate(self.items(key))
        ]

    def pairs(self, key: str) -> Iterator[tuple[str, Any]]:
        """The entries of an object."""
        for name, value in self.record(key).values.items():
            if not is_text(name) or len(name) > LONGEST:
                raise self.wrong(key, f"an object with names of at most {LONGEST} characters")
            yield name, value
