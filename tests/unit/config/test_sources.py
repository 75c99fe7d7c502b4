"""Mappings: what any export's columns mean, checked before the first record is read."""

from __future__ import annotations

import pytest

from apportion.config.mapping import ColumnSpec, Mapping, TemplatePart, TimeSpec
from tests.unit.config.conftest import Loaded, Problems

TIME = 'time = { column = "T", format = "iso" }'


def source(
    more: str = "", *, time: str = TIME, columns: str = '{ output_tokens = "O", model = "M" }', form: str = "csv"
) -> str:
    """A `[[sources]]` table of usage."""
    event_id = "" if "event_id" in more or "event_id" in columns else 'event_id = "{file}:{line}"'
    return (
        f'[[sources]]\nname = "x"\nkind = "usage"\nformat = "{form}"\n{time}\ncolumns = {columns}\n{event_id}\n{more}\n'
    )


def gpu(more: str = "", columns: str = '{ gpu_uuid = "U", active_ratio = "A" }') -> str:
    """A `[[sources]]` table of GPU samples."""
    return f'[[sources]]\nname = "x"\nkind = "gpu"\nformat = "csv"\n{TIME}\ncolumns = {columns}\n{more}\n'


def only(loaded: Loaded, text: str) -> Mapping:
    """The one mapping of a config."""
    config = loaded(text)
    (source,) = config.sources
    assert (source.name, source.format, source.collector, source.accepts) == ("x", "x", "", ())
    assert config.mappings == {"x": source.mapping}
    return config.mappings["x"]


def test_a_csv_with_two_token_columns_needs_a_few_lines(loaded: Loaded) -> None:
    """Names, a timestamp format with its zone, constants and an id of file and line; the source is the mapping's name."""
    mapping = only(
        loaded,
        source(
            'constants = { model = "m-code" }\ndelimiter = ";"',
            time='time = { column = "TIMESTAMP", format = "%Y-%m-%d %H:%M:%S.%f", zone = "Europe/Berlin" }',
            columns='{ uncached_input_tokens = "Context", output_tokens = { column = "Generated", default = 0 } }',
        ),
    )
    assert mapping.columns == {
        "uncached_input_tokens": ColumnSpec(column="Context", path=("Context",), unit=None, default=None),
        "output_tokens": ColumnSpec(column="Generated", path=("Generated",), unit=None, default="0"),
    }
    assert mapping.time == TimeSpec(
        column="TIMESTAMP", path=("TIMESTAMP",), format="%Y-%m-%d %H:%M:%S.%f", zone="Europe/Berlin"
    )
    assert mapping.constants == {"model": "m-code", "source": "file:x"}
    assert mapping.event_id == (
        TemplatePart(kind="file", text="file"), TemplatePart(kind="text", text=":"), TemplatePart(kind="line", text="line"),
    )  # fmt: skip
    assert mapping.delimiter == ";"


def test_json_paths_lead_into_records(loaded: Loaded) -> None:
    """Dots separate keys; a key with dots in it stands in quotes."""
    mapping = only(
        loaded,
        source(
            """tags = { project = "meta.project" }\nevent_id = "{id}-{{{a.b}}}"\nminus = { uncached_input_tokens = ["cache_read_tokens"] }""",
            form="json",
            time='time = { column = "created", format = "epoch_ms" }',
            columns="""{ uncached_input_tokens = "usage.prompt_tokens", model = 'attributes."gen_ai.request.model"',
            cache_read_tokens = "usage.cached", duration_ms = { column = "took", unit = "s" }, source = "s" }""".replace(
                "\n", " "
            ),
        ),
    )
    assert mapping.columns["uncached_input_tokens"].path == ("usage", "prompt_tokens")
    assert mapping.columns["model"].path == ("attributes", "gen_ai.request.model")
    assert mapping.columns["duration_ms"] == ColumnSpec(column="took", path=("took",), unit="s", default=None)
    assert mapping.tags == {
        "project": ColumnSpec(column="meta.project", path=("meta", "project"), unit=None, default=None)
    }
    assert mapping.minus == {"uncached_input_tokens": ("cache_read_tokens",)}
    assert mapping.constants == {}
    assert [(part.kind, part.text, part.path) for part in mapping.event_id] == [
        ("column", "id", ("id",)), ("text", "-", ()), ("text", "{", ()), ("column", "a.b", ("a", "b")), ("text", "}", ()),
    ]  # fmt: skip


def test_units_have_a_canonical_default(loaded: Loaded) -> None:
    """A measurement without a unit is in the field's own."""
    columns = """{ gpu_uuid = "U", active_ratio = { column = "A", unit = "percent" }, power_watts = "P",
    memory_used_bytes = { column = "M", unit = "mib" }, energy_joules = { column = "E", unit = "kilowatt_hours" } }"""
    mapping = only(loaded, gpu('constants = { gpu = "H100_SXM", node = "n1" }', columns.replace("\n", " ")))
    assert {field: spec.unit for field, spec in mapping.columns.items()} == {
        "gpu_uuid": None, "active_ratio": "percent", "power_watts": "watts", "memory_used_bytes": "mib",
        "energy_joules": "kilowatt_hours",
    }  # fmt: skip
    assert mapping.constants == {"gpu": "H100_SXM", "node": "n1"}


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (source(columns='{ output_tokens = "O", modle = "M", model = "m" }'), "columns.modle", "unknown usage field 'modle'; did you mean model?"),
        (source(columns='{ output_tokens = "O", model = "M", active_ratio = "A" }'), "columns.active_ratio", "unknown usage field"),
        (source(columns='{ output_tokens = "O", model = "M", occurred_at = "T" }'), "columns.occurred_at", "is read by time = {"),
        (source(columns='{ output_tokens = "O", model = "M", tags = "T" }'), "columns.tags", 'are read by tags = { TAG = "COLUMN" }'),
        (source(columns='{ output_tokens = "O", model = { column = "M", unit = "ms" } }'), "columns.model.unit", "does not fit model, which has none; remove it"),
        (source(columns='{ output_tokens = { column = "O", unit = "ms" }, model = "M" }'), "columns.output_tokens.unit", "does not fit output_tokens"),
        (source(columns='{ output_tokens = "O", model = "M", ttft_ms = { column = "x", unit = "percent" } }'), "columns.ttft_ms.unit", "percent does not fit ttft_ms; write one of ms, s, us, ns"),
        (source(columns='{ output_tokens = "O", model = "M", ttft_ms = { column = "x", unit = "hours" } }'), "columns.ttft_ms.unit", "is 'hours'; write one of ms, s, us, ns"),
        (source(columns='{ output_tokens = { column = "O", default = "many" }, model = "M" }'), "columns.output_tokens.default", "write digits and a point"),
        (source(columns='{ output_tokens = { column = "O", defualt = 1 }, model = "M" }'), "columns.output_tokens.defualt", "unknown key 'defualt'; did you mean default?"),
        (source(columns='{ output_tokens = { default = 0 }, model = "M" }'), "columns.output_tokens.column", "is missing"),
        (source(columns='{ output_tokens = "a..b", model = "M" }', form="json"), "columns.output_tokens", "is 'a..b', which is not a path; write keys with dots"),
        (source(columns='{ output_tokens = "O" }'), "columns.model", "is missing; map it, or write constants"),
        (source(columns='{ model = "M" }'), "columns", "map no tokens; map at least one of uncached_input_tokens"),
        (source('constants = { model = "m" }'), "constants.model", "is read from column 'M' too; keep one, or make this that column's default"),
        (source('constants = { zzz = "m" }'), "constants.zzz", "unknown usage field 'zzz'; known are"),
        (source('constants = { event_id = "1" }', columns='{ output_tokens = "O", model = "M" } # event_id') + 'event_id = "{line}"', "constants.event_id", "would be the same for every record"),
        (source('constants = { status = "ok" }'), "constants.status", "is 'ok'; write one of success, failed, cancelled"),
        (source("constants = { requests = -1 }"), "constants.requests", "zero or more"),
        (source(time=""), "time", "is missing; say which column holds occurred_at"),
        (source(time='time = { column = "T", format = "%Y-%m-%d %H:%M:%S" }'), "time.zone", "is missing, and '%Y-%m-%d %H:%M:%S' reads no zone; add zone"),
        (source(time='time = { column = "T", format = "%Y-%m-%d", zone = "Mars/Base" }'), "time.zone", "is 'Mars/Base', which is no known zone; write an IANA name"),
        (source(time='time = { column = "T", format = "epoch_s", zone = "UTC" }'), "time.zone", "is not for epochs"),
        (source(time='time = { column = "T", format = "epoch" }'), "time.format", "unknown format 'epoch'; did you mean epoch_s?"),
        (source(time='time = { column = "T", format = "%Y-%Q", zone = "UTC" }'), "time.format", "has %Q, which is not read; write one such as"),
        (source(time='time = { column = "T", format = "%Y %Z" }'), "time.format", 'has %Z, which is not read; write zone = "..."'),
        (source(time='time = { column = "T", format = "%H:%M", zone = "UTC" }'), "time.format", "reads no year; write the whole date"),
        (source('event_id = "{file}"'), "event_id", "the same for every record of a file; put {line} or a column into it"),
        (source('event_id = "{line"'), "event_id", "with a brace alone"),
        (source('event_id = "{line}"', columns='{ output_tokens = "O", model = "M", event_id = "I" }'), "event_id", "is read from column 'I' too; keep one"),
        (source('minus = { output = "output_tokens" }'), "minus.output", "unknown token field 'output'; did you mean output_tokens?"),
        (source('minus = { output_tokens = "reasoning_tokens" }'), "minus.output_tokens", "needs reasoning_tokens, which no column holds; add it"),
        (source('minus = { output_tokens = "output_tokens" }'), "minus.output_tokens", "is taken out of itself"),
        (source('tags = { project = "a..b" }', form="json"), "tags.project", "which is not a path"),
        (source('delimiter = ";;"'), "delimiter", "write one character"),
        (source('delimiter = ";"', form="json"), "delimiter", 'is only for format = "csv"; remove it'),
        (source(form="xml"), "format", "unknown format 'xml'; known are anthropic, apisix, bedrock"),
        (source().replace('name = "x"', 'name = "usage"'), "name", "'usage' is the name of a known format; choose another"),
        (source().replace('name = "x"', 'name = "__x"'), "name", "begins with __"),
        (gpu(columns='{ active_ratio = "A" }'), "columns.gpu_uuid", "is missing; map it, or write constants"),
        (gpu(columns='{ gpu_uuid = "U" }'), "columns", "map no measurement; map at least one of active_ratio"),
        (gpu(columns='{ gpu_uuid = "U", power_watts = "P", sampled_at = "T" }'), "columns.sampled_at", "is read by time = {"),
        (gpu("constants = { sm_active_ratio = 1.5 }"), "constants.sm_active_ratio", "write a ratio from 0 to 1"),
        (gpu('event_id = "{line}"'), "event_id", 'is only for kind = "usage"; remove it'),
    ],
)  # fmt: skip
def test_a_wrong_mapping_names_its_place(text: str, place: str, said: str, problems: Problems) -> None:
    """Each is one problem with its remedy, found before any file is read."""
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"apportion.toml:sources[0].{place}: ")
    assert said in found[0]


def test_an_event_needs_an_id(problems: Problems) -> None:
    """Without an id of its own a record needs a template, or re-reading a file would land it twice."""
    text = source().replace('event_id = "{file}:{line}"', "")
    assert problems(text) == (
        'apportion.toml:sources[0].event_id: is missing; map columns.event_id, or write a template such as "{file}:{line}"',
    )


def test_names_of_mappings_differ(problems: Problems) -> None:
    """A format is named once."""
    assert problems(source() + source()) == (
        "apportion.toml:sources[1].name: 'x' is the name of apportion.toml:sources[0] too; choose another",
    )


def test_a_field_is_taken_out_once(problems: Problems) -> None:
    """Chains would make the result depend on their order."""
    text = source(
        'minus = { uncached_input_tokens = "cache_read_tokens", cache_read_tokens = "cache_write_tokens" }',
        columns='{ uncached_input_tokens = "a", cache_read_tokens = "b", cache_write_tokens = "c", model = "M" }',
    )
    assert problems(text)[0].startswith(
        "apportion.toml:sources[0].minus.uncached_input_tokens: takes out cache_read_tokens, which has something taken out"
    )
