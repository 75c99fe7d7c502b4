"""Tables of the config being read: typed values out, and every problem kept with its place until all are known."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from apportion.config import values
from apportion.domain.period import FOREVER, Period

Item = TypeVar("Item")
Value = TypeVar("Value")
Option = TypeVar("Option", bound=str)

CHOICES_MAX: Final = 20
SENTENCE_MAX: Final = 1500
"""Characters: names may be long, and what to do stands at the end."""

_EVER: Final = Period(values.BEGINNING, FOREVER)


@dataclass(frozen=True, slots=True)
class Placed(Generic[Item]):
    """Something read, and where it stands.

    Attributes:
        where: `file:key` of it.
        item: the value.
    """

    where: str
    item: Item


class Problems:
    """What is wrong so far, and what is only worth a warning: sentences with their places."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def error(self, where: str, sentence: str) -> None:
        """Something that stops the load."""
        self.errors.append(_cut(f"{where}: {sentence}"))

    def warning(self, where: str, sentence: str) -> None:
        """Something that works, but hardly as meant."""
        self.warnings.append(_cut(f"{where}: {sentence}"))


class Table:
    """One TOML table. A wrong value is a problem, not an exception, and reads as its default or a placeholder.

    Whether anything was wrong, unknown keys too, is what `sound` answers; it is asked once all known keys are read.

    Attributes:
        where: `file:key` of the table; ends in a colon for the file itself.
        problems: where problems go.
    """

    def __init__(self, content: Mapping[str, object], where: str, problems: Problems) -> None:
        self.where, self.problems = where, problems
        self._content = content
        self._asked: list[str] = []
        self._children: list[Table] = []
        self._broken = False

    def place(self, key: str) -> str:
        """`file:key` of a key in this table."""
        return f"{self.where}{'' if self.where.endswith(':') else '.'}{key}"

    def wrong(self, key: str, sentence: str) -> None:
        """Note a problem with a key, or with the table itself where the key is empty."""
        self._broken = True
        self.problems.error(self.place(key) if key else self.where, sentence)

    def has(self, key: str) -> bool:
        """Whether the key is written; that alone does not make it known."""
        return key in self._content

    def raw(self, key: str) -> object:
        """A value as TOML gave it, or None; makes the key known."""
        self._asked.append(key)
        return self._content.get(key)

    def require(self, key: str, convert: Callable[[object], Value], placeholder: Value) -> Value:
        """A value that must be there, by a converter that raises ValueError in a sentence."""
        if key in self._content:
            return self.read(key, convert, placeholder)
        self.raw(key)
        self.wrong(key, "is missing, and there is no default; add it")
        return placeholder

    def read(self, key: str, convert: Callable[[object], Value], default: Value) -> Value:
        """A value that may be left out."""
        found = self.raw(key)
        if key not in self._content:
            return default
        try:
            return convert(found)
        except ValueError as error:
            self.wrong(key, str(error))
            return default

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not blank; required unless there is a default, as with all that follow."""
        return self.require(key, values.text, "") if default is None else self.read(key, values.text, default)

    def pattern(self, key: str) -> str | None:
        """A glob, or None for anything."""
        return self.read(key, values.text, None)

    def name(self, key: str, default: str | None = None) -> str:
        """A name that is not the system's."""
        return self.require(key, values.name, "") if default is None else self.read(key, values.name, default)

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """An integer from low to high."""

        def convert(found: object) -> int:
            return values.integer(found, low, high)

        return self.require(key, convert, low) if default is None else self.read(key, convert, default)

    def amount(self, key: str) -> int:
        """Money. Units: nano."""
        return self.require(key, values.amount, 0)

    def choice(self, key: str, options: Sequence[Option], default: Option | None = None) -> Option:
        """One of a closed set of words."""

        def convert(found: object) -> Option:
            for option in options:
                if found == option:
                    return option
            msg = f"is {values.shown(found)}; write one of {listed(options, CHOICES_MAX)}"
            raise ValueError(msg)

        return self.require(key, convert, options[0]) if default is None else self.read(key, convert, default)

    def names(self, key: str) -> tuple[str, ...]:
        """A list of different names, or nothing."""
        return self.read(key, values.names, ())

    def instant(self, key: str, default: datetime | None = None) -> datetime:
        """A time with a zone, in UTC."""
        if default is None:
            return self.require(key, values.instant, values.BEGINNING)
        return self.read(key, values.instant, default)

    def period(self, *, start_optional: bool = False) -> Period:
        """`effective_from` and `effective_to`."""
        before = len(self.problems.errors)
        start = self.instant("effective_from", values.BEGINNING if start_optional else None)
        end = self.instant("effective_to", FOREVER)
        if len(self.problems.errors) > before:
            return _EVER
        if end <= start:
            self.wrong(
                "effective_to",
                f"is {values.stamp(end)}, not after effective_from {values.stamp(start)}; "
                "ranges are [from, to), so write a later end or leave it out",
            )
            return _EVER
        return Period(start, end)

    def table(self, key: str) -> Table:
        """A table under a key; empty where there is none."""
        found = self.raw(key)
        if found is not None and not isinstance(found, dict):
            written = f"[{key}]" if self.where.endswith(":") else f"{key} = {{ KEY = VALUE }}"
            self.wrong(key, f"is {values.kind(found)}; write a table, {written}")
            found = None
        return self.child(found or {}, key)

    def tables(self, key: str) -> list[Table]:
        """A list of tables under a key; empty where there is none."""
        found = self.raw(key)
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(part, dict) for part in found):
            self.wrong(key, f"is {values.kind(found)}; write one [[{key}]] table for each")
            return []
        return [self.child(part, f"{key}[{index}]") for index, part in enumerate(found)]

    def child(self, content: Mapping[str, object], key: str) -> Table:
        """A table of this table, whose problems are this one's too."""
        made = Table(content, self.place(key), self.problems)
        self._children.append(made)
        return made

    def written(self) -> list[str]:
        """Every key that is written, all of them known from now on: for tables whose keys are the user's own."""
        self._asked.extend(self._content)
        return list(self._content)

    def sound(self) -> bool:
        """Whether all was right; notes keys that nothing reads."""
        for key in self._content:
            if key not in self._asked:
                self.wrong(key, unknown("key", key, self._asked))
        self._asked.extend(self._content)
        sound = [child.sound() for child in self._children]
        return not self._broken and all(sound)


def _cut(sentence: str) -> str:
    half = SENTENCE_MAX // 2
    return sentence if len(sentence) <= SENTENCE_MAX else f"{sentence[:half]} … {sentence[-half:]}"


def each(root: Table, key: str, parse: Callable[[Table], Item]) -> list[Placed[Item]]:
    """Every sound table of a list, with its place; what is wrong with the others is noted."""
    read = [(table, parse(table)) for table in root.tables(key)]
    return [Placed(table.where, item) for table, item in read if table.sound()]


def unknown(what: str, written: str, known: Sequence[str]) -> str:
    """The sentence for a word that is not known, with the nearest one that is."""
    close = difflib.get_close_matches(written, known, n=1)
    if close:
        return f"unknown {what} {written!r}; did you mean {close[0]}?"
    return f"unknown {what} {written!r}; known are {listed(sorted(set(known)), 12)}"


def listed(words: Iterable[str], most: int = 8) -> str:
    """Words in a row, the first few of many."""
    row = list(words)
    return ", ".join(row[:most]) + (f" and {len(row) - most} more" if len(row) > most else "")
