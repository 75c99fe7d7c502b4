"""Fields of a `config.json`, each a sensible value or a ValueError that names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

COUNT_MAX: Final = 10_000_000
"""Of heads, widths, words and windows alike."""
LAYERS_MAX: Final = 10_000
"""Layers are counted one by one."""


class Keys:
    """The fields of one document. Unknown ones are not read: such files are full of what only training needs."""

    def __init__(self, document: Mapping[str, object]) -> None:
        self._document = document

    def word(self, key: str) -> str:
        """A text that must be there."""
        found = self._document.get(key)
        if not isinstance(found, str) or not found:
            msg = f"{key} is missing; give the config.json as it was published with the model"
            raise ValueError(msg)
        return found

    def count(self, key: str, default: int | None = None, *, most: int = COUNT_MAX) -> int:
        """A number above zero; null is the same as absent."""
        return self._integer(key, 1, default, most)

    def count_or_none(self, key: str) -> int:
        """A number that may be zero or absent, which is zero."""
        return self._integer(key, 0, 0, COUNT_MAX)

    def maybe(self, key: str) -> int | None:
        """A number above zero, or None where there is none."""
        return None if self._document.get(key) is None else self.count(key)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        found = self._document.get(key)
        if found is None:
            return default
        if not isinstance(found, bool):
            msg = f"{key} is {found!r}; it must be true or false"
            raise ValueError(msg)  # noqa: TRY004 - one kind of error for whatever is wrong in a file
        return found

    def listed(self, key: str, kind: type) -> list[object] | None:
        """A list of values of one type, or None where there is none."""
        found = self._document.get(key)
        if found is None:
            return None
        if not isinstance(found, list) or not all(type(part) is kind for part in found):
            msg = f"{key} is no list of {kind.__name__}"
            raise ValueError(msg)
        return found

    def _integer(self, key: str, least: int, default: int | None, most: int) -> int:
        found = self._document.get(key)
        if found is None:
            if default is None:
                msg = f"{key} is missing; give the config.json as it was published with the model"
                raise ValueError(msg)
            return default
        if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
            msg = f"{key} is {found!r}; it must be an integer from {least} to {most}"
            raise ValueError(msg)
        return found
