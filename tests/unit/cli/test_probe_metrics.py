"""What `check` sees of exporters and servers of metrics: what they tell of, or why they tell nothing, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apportion.cli import probe, probe_metrics
from apportion.config.environment import Secret
from apportion.config.load import load
from apportion.config.sources import PrometheusSource
from tests.ports import free_port
from tests.unit.cli.test_probe import config
from tests.unit.ingest.exporter import Answer, Asked, exporter

PAGE = (
    b'vllm:generation_tokens_total{engine="0",model_name="m"} 5\nvllm:generation_tokens_total{engine="1",model_name="m"} 5\n'
    b'DCGM_FI_DEV_GPU_UTIL{UUID="g"} NaN\n'
)


def looked(page: bytes | Answer, **settings: object) -> tuple[bool, str]:
    """What is said of a target, without its address."""
    with exporter(lambda _: page if isinstance(page, Answer) else Answer(page)) as one:
        url = f"{one.url}/metrics"
        well, said = probe_metrics.page(PrometheusSource(targets=(url,), **settings), url)  # type: ignore[arg-type]
    return well, said.removeprefix(f"{url} ")


def vector(*series: dict[str, str]) -> bytes:
    """A server's answer about now."""
    result = [{"metric": one, "value": [1, "5"]} for one in series]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def test_a_page_by_what_it_tells_of() -> None:
    """Engines by software and model, GPUs, and what of it is no number."""
    assert looked(PAGE) == (True, "has 3 series: vllm (2 engines of m), dcgm (1 GPU); left out: 1 no_number")


@pytest.mark.parametrize(
    ("page", "families", "well", "said"),
    [
        (b"tgi_queue_size 0\n", ("tgi",), True, "has 1 series: tgi (1 engine, which tells no model: write constants.model)"),
        (PAGE, ("dcgm",), True, "has 3 series: dcgm (1 GPU); vllm is there too and not read, since families leave it out; left out: 1 no_number"),
        (PAGE, ("tgi",), False, "has nothing of tgi, but of vllm, dcgm; name those in families, to read them"),
        (b"up 1\n", ("tgi",), False, "has no metric of an engine or a GPU that is read; correct the path, or see `families`"),
        (b"<html>\n", ("tgi",), False, "is a web page, and no metrics; correct the path, such as /metrics"),
        (Answer(status=404), ("tgi",), False, "answers 404; start it, or correct targets"),
        (Answer(status=401), ("tgi",), False, "answers 401; correct token, or username and password"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_fix(
    page: bytes | Answer, families: tuple[str, ...], well: bool, said: str
) -> None:
    """Nothing is read of what the source does not name, and that is said."""
    assert looked(page, families=families) == (well, said)


def test_a_secret_that_is_not_set_is_named() -> None:
    """The look never raises."""
    well, said = looked(PAGE, token=Secret("APPORTION_NOT_SET"))

    assert not well
    assert "environment:APPORTION_NOT_SET: is not set" in said


def test_a_server_by_what_it_has_now() -> None:
    """Instances are engines of their own; nothing of engines or GPUs is a warning."""
    engine = {"__name__": "vllm:generation_tokens_total", "model_name": "m"}
    answers = [vector({**engine, "instance": "a:1"}, {**engine, "instance": "b:1"}), vector(), b"<html>"]
    with exporter(lambda _: Answer(answers.pop(0))) as one:
        settings = PrometheusSource(server=one.url)
        seen = [probe_metrics.server(settings) for _ in range(3)]

    assert seen == [
        (True, f"{one.url} has 2 series now: vllm (2 engines of m)"),
        (False, f"{one.url} has no series of engines or GPUs now; have it scrape them, or correct match and families"),
        (False, f"{one.url} answers with no JSON; write the address of a Prometheus as server"),
    ]


def test_every_target_is_looked_at(tmp_path: Path) -> None:
    """A line for each, up to a bound; a dead one says so, and the others are seen all the same."""

    def say(asked: Asked) -> Answer:
        return Answer(PAGE) if asked.path == "/metrics" else Answer(status=404)

    dead = f"http://127.0.0.1:{free_port()}/metrics"
    with exporter(say) as one:
        written = f'[[sources]]\nname = "m"\ncollector = "prometheus"\ntargets = ["{one.url}", "{dead}"]\n'
        seen = [look for look in probe.probe(load(config(tmp_path, written, free_port()))) if look.source == "m"]

    assert [(look.well, look.said.partition(" ")[0]) for look in seen] == [(True, f"{one.url}/metrics"), (False, dead)]
    assert seen[1].said == f"{dead} gave no answer (Connection refused); start it, or correct targets"


def test_no_more_targets_are_looked_at_than_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are counted."""
    monkeypatch.setattr(probe_metrics, "TARGETS_MAX", 1)
    targets = ", ".join(f'"http://127.0.0.1:{free_port()}"' for _ in range(4))
    written = f'[[sources]]\nname = "m"\ncollector = "prometheus"\ntargets = [{targets}]\n'
    seen = [look for look in probe.probe(load(config(tmp_path, written, free_port()))) if look.source == "m"]

    assert len(seen) == 2
    assert (seen[1].well, seen[1].said) == (True, "3 more targets are not looked at")
