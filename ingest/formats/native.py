"""A format of somebody's own JSON that a mapping cannot say: a table of where values stand, and one SELECT over them.

To add one, write a module that builds a `Native` and name it in `ingest.registry`. DuckDB parses a line once and gives only
the values that are looked for: prompts and answers are passed over, and never reach Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from ingest.formats import claims, redaction
from ingest.formats import conversions as to
from ingest.formats.ndjson import OBJECT_BYTES_MAX, JsonLines
from ingest.kinds import Kind

Keys = tuple[str, ...]
Tree = dict[str, "Tree | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Native(JsonLines):
    """JSON objects of a known system, one per line or in one array.

    Attributes:
        name: what `--format` calls it.
        kind: what its records become.
        found: name of a value -> keys down to it, digits for a place in a list. In SQL it is text; NULL where absent, empty, an
            object or a list. No name is that of a canonical field.
        fields: canonical field -> SQL of its JSON text, NULL where absent. Tags stand apart.
        steps: names and SQL of values made from those found; a step may use all earlier ones.
        tags: tag -> where its value may stand; the first place that holds one wins.
        labels: keys down to objects whose members are tags too; a tag of `tags` wins over them.
        claims: keys down to what whoever calls may write. It is not believed; that it names who is to pay is counted.
        sealed: names of `found` -> what the quarantine keeps instead of the value.
        time_form: how the time is written, in words.
        signatures: keys down to what its records have and together nobody else's, each way of writing them; `ingest.recognise`
            looks for them.
        reads_arrays: a file may also be one array.
        stands_alone: records name themselves.
    """

    name: str
    kind: Kind
    found: Mapping[str, Keys]
    fields: Mapping[str, str]
    steps: tuple[Mapping[str, str], ...] = ()
    tags: Mapping[str, tuple[Keys, ...]] = field(default_factory=dict)
    labels: tuple[Keys, ...] = ()
    claims: tuple[Keys, ...] = ()
    sealed: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    time_form: str = ""
    signatures: tuple[tuple[Keys, ...], ...] = ()
    reads_arrays: bool = True
    stands_alone: bool = True

    def view(self, spool: Path, file: str, header: bytes, *, sifted: bool) -> str:  # noqa: ARG002 - lines are lines
        """The canonical fields, converted; a line that is no object is a row of NULLs."""
        rows = self._rows(spool)
        for step in self.steps:
            made = ", ".join(f"{sql} AS {name}" for name, sql in step.items())
            rows = f"(SELECT *, {made} FROM {rows})"
        fields = {**self.fields, "tags": self._tags()}
        columns = ",\n    ".join(f"{fields.get(column, 'NULL::VARCHAR')} AS {column}" for column in self.kind.columns)
        return f"SELECT\n    {columns}\nFROM {rows}"

    def kept(self, record: bytes, header: bytes, tags: frozenset[str]) -> bytes | None:  # noqa: ARG002 - no header
        """The values that are read, those of other tags left out, secrets replaced."""
        paths = [*self.found.values(), *(keys for tag, places in self.tags.items() if tag in tags for keys in places)]
        paths += [(*keys, tag) for keys in self.labels for tag in sorted(tags)]
        return redaction.picked(record, paths, {self.found[name]: seal for name, seal in self.sealed.items()})

    def _rows(self, spool: Path) -> str:
        """SQL of a table of the values found, and of the labels."""
        tree: Tree = {}
        tagged = (keys for places in self.tags.values() for keys in places)
        for keys in (*self.found.values(), *tagged, *self.labels, *self.claims):
            inner = tree
            for key in keys[:-1]:
                below = inner.setdefault(key, {})
                inner = {} if below is None else below
            inner[keys[-1]] = None
        columns = ", ".join(f"{_identifier(key)}: {to.text(_type(below))}" for key, below in tree.items())
        values = [f"{_scalar(_place(keys))} AS {name}" for name, keys in self.found.items()]
        for number, places in enumerate(self.tags.values()):
            values.append(f"coalesce({', '.join(_scalar(_place(keys)) for keys in places)}) AS tag_{number}")
        values += [f"{_place(keys)}::VARCHAR AS labels_{number}" for number, keys in enumerate(self.labels)]
        if self.claims:
            values.append(f"{claims.found([f'{_place(keys)}::VARCHAR' for keys in self.claims])} AS claimed")
        return (
            f"(SELECT {', '.join(values)} FROM read_ndjson({to.text(str(spool))}, columns = {{{columns}}}, records = 'true', "
            f"ignore_errors = true, maximum_object_size = {OBJECT_BYTES_MAX}, compression = 'none'))"
        )

    def _tags(self) -> str:
        """SQL of the tags; earlier labels give way to later ones."""
        named = {tag: f"tag_{number}" for number, tag in enumerate(self.tags)}
        own = to.tags(named | {claims.MARK: "claimed"} if self.claims else named)
        for number in reversed(range(len(self.labels))):
            own = (
                f"CASE WHEN labels_{number}[1] = '{{' AND labels_{number} <> '{{}}' "
                f"THEN json_merge_patch(labels_{number}::JSON, ({own})::JSON)::VARCHAR ELSE {own} END"
            )
        return own


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _type(below: Tree | None) -> str:
    """The type DuckDB reads a value as: JSON where it is looked at, a struct of what is looked for inside it."""
    if below is None or any(key.isdecimal() for key in below):
        return "JSON"
    return "STRUCT(" + ", ".join(f"{_identifier(key)} {_type(inner)}" for key, inner in below.items()) + ")"


def _place(keys: Keys) -> str:
    """SQL of a value: a member of structs, and below a list what a JSON pointer finds (also in what the quarantine kept of it)."""
    outside = list(takewhile(lambda key: not key.isdecimal(), keys))
    place = ".".join(_identifier(key) for key in outside)
    inside = keys[len(outside) :]
    return f"json_extract({place}, {to.text('/' + '/'.join(inside))})" if inside else place


def _scalar(place: str) -> str:
    """A text, a number or a word as text. As a pattern: a list of two brackets would be planned as a join."""
    return f"CASE WHEN NOT regexp_matches({place}::VARCHAR, '^[{{\\[]') THEN nullif({place}->>'$', '') END"
