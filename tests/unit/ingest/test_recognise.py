"""`--format auto`: a file's format is told by what only it has, said aloud, and never guessed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from apportion.cli import main
from apportion.config.load import load
from apportion.domain.errors import InputError, UsageError
from ingest import registry
from ingest.format import Format
from ingest.formats.native import Native
from ingest.recognise import recognise
from tests.shared_data import shared
from tests.unit.ingest.desk import CONFIG, engine_sample, event, lines, sample

SAMPLES = {
    "apisix_llm_log.jsonl": "apisix",
    "cloudflare_ai_gateway_log.jsonl": "cloudflare",
    "kong_ai_log.json": "kong",
    "langfuse_observations_v2.jsonl": "langfuse",
    "litellm_generic_api_batch.ndjson": "litellm",
    "litellm_standard_logging_payload.json": "litellm",
    "litellm_standard_logging_payload_failure.json": "litellm",
    "litellm_spend_logs.jsonl": "litellm-spend",
    "openai_batch_output.jsonl": "openai-batch",
    "portkey_log_export.jsonl": "portkey",
    "sglang_request_metrics.log": "sglang",
    "vllm_chat_response_per_request_metrics.json": "openai",
}
TABLE = """
[[sources]]
name = "sheet"
kind = "usage"
format = "csv"
time = { column = "at", format = "iso" }
columns = { event_id = "id", model = "m", output_tokens = "o" }
constants = { source = "sheet" }
"""
OBJECTS = """
[[sources]]
name = "NAME"
kind = "usage"
format = "json"
time = { column = "at", format = "iso" }
columns = { event_id = "call.id", model = "m", output_tokens = "used.out", tier = { column = "t", default = "x" } }
constants = { source = "mine" }
"""


def formats(folder: Path, toml: str = "") -> list[Format]:
    """Every built-in format, and those that a config describes."""
    config = folder / "apportion.toml"
    config.write_text(CONFIG + toml, encoding="utf-8")
    return [*registry.BUILT_IN.values(), *(registry.described(mapping) for mapping in load(config).mappings.values())]


def written(folder: Path, data: bytes, name: str = "f.log") -> Path:
    """A file."""
    path = folder / name
    path.write_bytes(data)
    return path


def told(path: Path, known: list[Format]) -> str | None:
    """The name of a file's format."""
    found = recognise(path, known)
    return None if found is None else found.name


@pytest.mark.parametrize("name", SAMPLES)
def test_what_gateways_really_write_is_recognised(tmp_path: Path, name: str) -> None:
    """Each sample by itself, one object per line."""
    text = shared("samples", name).read_text(encoding="utf-8")
    records = [json.loads(text)] if name.endswith(".json") else text.splitlines()

    assert told(written(tmp_path, lines(records)), formats(tmp_path)) == SAMPLES[name]


@pytest.mark.parametrize(
    ("name", "sample_of"), [("litellm_generic_api_batch.ndjson", "litellm"), ("portkey_log_export.jsonl", "portkey")]
)
def test_a_gateways_record_may_hold_the_answer_of_a_provider(tmp_path: Path, name: str, sample_of: str) -> None:
    """What a record says of itself comes before what the answer inside it looks like."""
    answer = {"candidates": [], "usageMetadata": {"promptTokenCount": 1}}
    record = json.loads(shared("samples", name).read_text(encoding="utf-8").splitlines()[0])
    known = formats(tmp_path)

    assert told(written(tmp_path, lines([{"response": answer}])), known) == "gemini"
    assert told(written(tmp_path, lines([{**record, "response": answer}])), known) == sample_of


def test_every_known_system_is_recognised_by_something() -> None:
    """Every known system's format says how it is recognised, and never by one key alone."""
    unsaid = [one.name for one in registry.BUILT_IN.values() if isinstance(one, Native) and not one.signatures]
    loose = [
        one.name
        for one in registry.BUILT_IN.values()
        if isinstance(one, Native) and any(sum(map(len, signature)) < 2 for signature in one.signatures)
    ]

    assert (unsaid, loose) == ([], [])


@pytest.mark.parametrize(("record", "name"), [(event(), "usage"), (sample(), "gpu"), (engine_sample(), "engine")])
def test_canonical_records_are_recognised(tmp_path: Path, record: dict[str, Any], name: str) -> None:
    """As lines, as one array, compressed, with a byte order mark, and after lines that are none."""
    known = formats(tmp_path)
    plain = lines([record, record])
    ways = [plain, json.dumps([record], indent=1).encode(), gzip.compress(plain), b"\xef\xbb\xbf\n" + plain]
    ways.append(b'{"x": 1}\n{"torn\n\n' + plain)

    assert [told(written(tmp_path, way, f"{n}.log"), known) for n, way in enumerate(ways)] == [name] * len(ways)


def test_a_csv_is_recognised_by_its_header(tmp_path: Path) -> None:
    """All of the columns that the mapping reads, in any order; a header that lacks one is not it."""
    known = formats(tmp_path, TABLE)

    assert told(written(tmp_path, b"o,x,id,at,m\n1,2,3,4,5\n"), known) == "sheet"
    with pytest.raises(
        UsageError, match=r"looks like none of usage, gpu, engine, .*sheet; .* Its columns: at, id, m\."
    ):
        recognise(written(tmp_path, b"id,at,m\n"), known)


def test_json_of_a_mapping_is_recognised_by_its_places(tmp_path: Path) -> None:
    """Time, id and model, and one of the figures; what has a default may be absent."""
    known = formats(tmp_path, OBJECTS)
    record = {"at": "2026-10-15T11:00:00Z", "call": {"id": "1"}, "m": "llama", "used": {"out": None}}

    assert told(written(tmp_path, lines([record])), known) == "NAME"
    with pytest.raises(UsageError, match="Its keys: at, m, used"):
        recognise(written(tmp_path, lines([{**record, "call": None}]).replace(b'"call": null, ', b"")), known)


def test_what_could_be_two_formats_is_refused_and_both_are_named(tmp_path: Path) -> None:
    """Two mappings of the same places, or a file of two systems' records: whoever asks has to say which."""
    known = formats(tmp_path, OBJECTS + OBJECTS.replace("NAME", "OTHER"))
    record = {"at": "2026-10-15T11:00:00Z", "call": {"id": "1"}, "m": "llama", "used": {"out": 1}}

    with pytest.raises(UsageError, match="could be NAME and OTHER; say which with --format"):
        recognise(written(tmp_path, lines([record])), known)
    with pytest.raises(UsageError, match="could be usage and gpu;"):
        recognise(written(tmp_path, lines([event(), sample()])), known)


def test_what_fits_no_format_is_refused_with_its_keys(tmp_path: Path) -> None:
    """The keys are shown, never a value, and nothing that a terminal would obey."""
    known = formats(tmp_path)

    with pytest.raises(
        UsageError, match=r"looks like none of usage, gpu, engine, litellm.* Its keys: a\?b, c\."
    ) as raised:
        recognise(written(tmp_path, lines([{"a\x1bb": "secret", "c": 1}])), known)
    assert "secret" not in str(raised.value)
    with pytest.raises(UsageError, match="no JSON objects, one per line"):
        recognise(written(tmp_path, b'{\n "event_id": 1\n}\n'), known)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("vllm_metrics.txt", 'collector = "prometheus"'),
        ("dynamo_frontend_metrics.txt", 'collector = "prometheus"'),
        ("nvidia_smi.csv", 'format = "nvidia-smi" and its zone'),
        ("otel_genai_span.json", "/v1/traces of `apportion serve`"),
        ("otel_genai_metrics.json", "/v1/metrics of `apportion serve`"),
    ],
)
def test_what_arrives_another_way_is_told_which(tmp_path: Path, name: str, remedy: str) -> None:
    """Pages of metrics, OTLP and files that need the config's word are no formats; the answer is where they belong."""
    data = shared("samples", name).read_bytes()
    file = written(tmp_path, lines([json.loads(data)]) if name.endswith(".json") else data)

    with pytest.raises(UsageError) as raised:
        recognise(file, formats(tmp_path))
    assert remedy in str(raised.value)
    assert "looks like none of" not in str(raised.value)


def test_many_keys_are_cut(tmp_path: Path) -> None:
    """A sentence stays one."""
    with pytest.raises(UsageError) as raised:
        recognise(written(tmp_path, lines([{f"key-{number}": 1 for number in range(1000)}])), formats(tmp_path))

    assert len(str(raised.value)) < 1500


@pytest.mark.parametrize("data", [b"", b"\n \n", b"[]", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_nothing_to_recognise(tmp_path: Path, data: bytes) -> None:
    """Logs that were just rotated are no mistake."""
    assert told(written(tmp_path, data), formats(tmp_path)) is None


def test_a_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    """That is another mistake than an unknown format."""
    with pytest.raises(InputError, match="cannot be read"):
        recognise(tmp_path / "none", formats(tmp_path))


def test_parquet_is_recognised_by_its_columns(tmp_path: Path) -> None:
    """Parquet holds canonical records of one kind."""
    known = formats(tmp_path)
    kinds = {"usage": event(), "gpu": sample(), "engine": engine_sample()}
    for name, records in (*((name, [record]) for name, record in kinds.items()), ("other", [{"x": 1}])):
        source = written(tmp_path, lines(records), f"{name}.json")
        duckdb.sql(f"COPY (FROM read_json('{source}')) TO '{tmp_path / name}' (FORMAT parquet)")

    assert [told(tmp_path / name, known) for name in kinds] == list(kinds)
    with pytest.raises(UsageError, match="looks like none of"):
        recognise(tmp_path / "other", known)


def test_ingest_says_what_it_recognised_and_lands_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files of several formats in one command; each is named with its format."""
    (tmp_path / "apportion.toml").write_text(CONFIG, encoding="utf-8")
    files = [
        written(tmp_path, lines([event()]), "u"),
        written(tmp_path, lines([sample()]), "g"),
        written(tmp_path, lines([engine_sample()]), "s"),
        written(tmp_path, b"", "e"),
    ]
    names = [str(path) for path in files]
    code = main(["ingest", *names, "--format", "auto", "--config", str(tmp_path / "apportion.toml")])
    out = " ".join(capsys.readouterr().out.split())

    assert code == 0
    assert "3 received = 3 landed" in out
    for path, said in zip(names, ("read as usage.", "read as gpu.", "read as engine.", "is empty."), strict=True):
        assert f"note {path}: {said}".replace(" ", "") in out.replace(" ", "")


def test_ingest_reads_nothing_where_one_file_is_not_certain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every uncertain file is named at once, with exit code 2, before any file is landed."""
    (tmp_path / "apportion.toml").write_text(CONFIG, encoding="utf-8")
    config = ["--config", str(tmp_path / "apportion.toml")]
    good, *bad = (written(tmp_path, data, f"f{n}") for n, data in enumerate((lines([event()]), b'{"a":1}\n', b"x,y\n")))
    code = main(["ingest", str(good), *map(str, bad), "--format", "auto", *config])
    said = "".join(capsys.readouterr().err.split())

    assert code == 2
    assert all(str(path) in said for path in bad)
    assert main(["ingest", str(good), "--json", *config]) == 0
    assert json.loads(capsys.readouterr().out)["landed"] == 1
