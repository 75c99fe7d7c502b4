"""Sources of metrics: exporters that are scraped, or a server that is asked, and what either may say of places."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from apportion.config import sources
from apportion.config.environment import Secret
from apportion.config.sources import PrometheusSource, Source
from ingest.prometheus import families
from ingest.prometheus.series import ENGINE_FIELDS, GPU_FIELDS
from tests.unit.config.conftest import Loaded, Problems
from tests.unit.config.test_collectors import of

SCRAPE = '[[sources]]\nname = "m"\ncollector = "prometheus"\ntargets = ["http://node-1:9400"]\n'
QUERY = '[[sources]]\nname = "m"\ncollector = "prometheus"\nserver = "https://prometheus:9090/"\n'
USER = 'username = "u"\npassword = { env = "PATH" }\n'


def test_targets_are_scraped_every_fifteen_seconds(loaded: Loaded) -> None:
    """A path that is not written is /metrics, a front end is not read unless asked for, and no format is needed."""
    config = loaded(
        of(SCRAPE, targets='["http://node-1:9400", "https://vllm-0:8000/metrics", "http://[::1]:1/?model=m"]')
    )

    assert config.warnings == ()
    assert config.sources == (
        Source(
            name="m",
            collector="prometheus",
            format="",
            prometheus=PrometheusSource(
                targets=("http://node-1:9400/metrics", "https://vllm-0:8000/metrics", "http://[::1]:1/metrics?model=m"),
                interval_seconds=15,
                families=("dcgm", "amd", "vllm", "sglang", "tgi", "trtllm", "llamacpp"),
            ),
        ),
    )


def test_a_server_is_asked_every_minute(loaded: Loaded, tmp_path: Path) -> None:
    """Where to begin, what to ask for and how to be let in are said beside it."""
    (tmp_path / "ca.pem").write_text("")
    config = loaded(
        QUERY
        + """match = '{job=~"vllm|dcgm", cluster!="dev",}'\nstart = 2026-09-01T00:00:00+02:00\nca_file = "ca.pem"\n"""
        + 'constants = { cluster = "eu", gpu = "H100_SXM" }\nlabels = { deployment = "app" }\nfamilies = ["dynamo", "dcgm"]\n'
        + USER
    )

    assert config.sources[0].prometheus == PrometheusSource(
        server="https://prometheus:9090",
        match='job=~"vllm|dcgm", cluster!="dev"',
        start=datetime(2026, 8, 31, 22, tzinfo=UTC),
        interval_seconds=60,
        families=("dynamo", "dcgm"),
        constants={"cluster": "eu", "gpu": "H100_SXM"},
        labels={"deployment": "app"},
        username="u",
        password=Secret("PATH"),
        ca_file=tmp_path / "ca.pem",
    )


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (of(SCRAPE, format='"gpu"'), "format", 'is not for collector = "prometheus": engines and GPUs are told apart'),
        (of(SCRAPE, format='"csv"'), "format", 'is not for collector = "prometheus"'),
        (of(SCRAPE, accepts='["a"]'), "accepts", "is about the source of usage events, and metrics are none"),
        (of(SCRAPE, targets=""), "server", 'is missing, and so are targets; write targets = ["http://host:9400/metrics"]'),
        (SCRAPE + 'server = "http://p:9090"\n', "server", "stands beside targets; write"),
        (of(SCRAPE, match="""'{a="b"}'"""), "match", "is only for server: exporters tell of now"),
        (of(SCRAPE, start="2026-10-01T00:00:00Z"), "start", "is only for server"),
        (of(SCRAPE, topics='["a"]'), "topics", 'is only for collector = "kafka"; write that, or remove the key'),
        (of(SCRAPE, target='["http://a/"]'), "target", "unknown key 'target'; did you mean targets?"),
        (of(SCRAPE, targets="[]"), "targets", 'is empty; write a list, such as ["http://node-1:9400/metrics"]'),
        (of(SCRAPE, targets='["node-1:9400"]'), "targets", "names 'node-1:9400'; write an address such as"),
        (of(SCRAPE, targets='["ftp://node-1/"]'), "targets", "names 'ftp://node-1/'; write an address such as"),
        (of(SCRAPE, targets='["http://a:99999/"]'), "targets", "names 'http://a:99999/'; write an address such as"),
        (of(SCRAPE, targets='["http://a/m x"]'), "targets", "which holds what no address does; write it percent-encoded"),
        (of(SCRAPE, targets='["http://u:p@a/"]'), "targets", "holds a user in an address; write username, and password"),
        (of(SCRAPE, targets='["http://a:1/x", "http://A:1/y"]'), "targets", "their samples would have one name, A:1"),
        (of(SCRAPE, interval_seconds="0"), "interval_seconds", "is 0; write an integer from 1 to 3600"),
        (of(SCRAPE, families='["vlm"]'), "families", "unknown family 'vlm'; did you mean vllm?"),
        (of(SCRAPE, families='["dynamo", "vllm"]'), "families", "names dynamo, a front end, beside vllm"),
        (of(SCRAPE, constants='{ team = "a" }'), "constants.team", "unknown place 'team'; known are"),
        (of(SCRAPE, labels='{ node = "a-b" }'), "labels.node", "is 'a-b', which no label is called; write its name"),
        (of(SCRAPE, labels='{ node = "a" }', constants='{ node = "b" }'), "labels", "names node, which constants name too"),
        (of(QUERY, match="""'job="a"'"""), "match", """is 'job="a"'; write label matchers in braces"""),
        (of(QUERY, match="""'{job="a"} or up{x="y"}'"""), "match", "write label matchers in braces"),
        (of(QUERY, match="""'{job=a}'"""), "match", "write label matchers in braces"),
        (of(QUERY, server='"http://p:9090/api/v1"'), "server", "write the address that the paths of its API go behind"),
        (of(QUERY, start='"yesterday"'), "start", "is 'yesterday', which is not a time with a zone"),
        (QUERY + 'username = "u"\n', "username", "stands for one of two; write username and password"),
        (QUERY + USER + 'token = { env = "PATH" }\n', "token", "stands beside username; write one way to be let in"),
        (QUERY + 'token = "secret"\n', "token", "must not hold the secret itself; name an environment variable"),
        (of(SCRAPE, ca_file='"/dev/null"'), "ca_file", "is for https, and no address here is; write https://"),
        (of(QUERY, ca_file='"/no/ca.pem"'), "ca_file", "'/no/ca.pem' cannot be read (No such file or directory)"),
    ],
)  # fmt: skip
def test_a_wrong_source_of_metrics_names_its_place(problems: Problems, text: str, place: str, said: str) -> None:
    """One problem, at the key that is wrong, with how to put it right."""
    (problem,) = problems(text)

    assert problem.startswith(f"apportion.toml:sources[0].{place}: ") or f"sources[0].{place}: " in problem
    assert said in problem


def test_a_router_has_a_page_for_each_model(loaded: Loaded) -> None:
    """Pages of one host and port that are asked for different models are different engines."""
    source = loaded(of(SCRAPE, targets='["http://a:1/metrics?model=x", "http://a:1/metrics?model=y"]')).sources[0]

    assert source.prometheus is not None
    assert len(source.prometheus.targets) == 2


def test_a_secret_in_the_clear_is_a_warning(loaded: Loaded) -> None:
    """It may be meant, on a network of one's own."""
    (warning,) = loaded(SCRAPE + 'token = { env = "PATH" }\n').warnings

    assert "is sent as it is to addresses that begin with http://" in warning


def test_the_config_knows_the_families_that_are_read() -> None:
    """What may be written is what there is: families, those read on request only, and places."""
    assert set(sources.FAMILIES) == set(families.FAMILIES)
    assert set(sources.FAMILIES_ON_REQUEST) == families.ON_REQUEST
    assert set(sources.PLACES) == {*ENGINE_FIELDS, *GPU_FIELDS, "model"}


def test_a_page_is_scraped_by_one_source(problems: Problems, loaded: Loaded) -> None:
    """Two would make one counter go back and forth; sources that read different families of it do not."""
    second = SCRAPE.replace('"m"', '"n"')
    (found,) = problems(SCRAPE + second.replace("9400", "9400/metrics"))

    assert found.startswith(
        "apportion.toml:sources[1].targets: names http://node-1:9400/metrics, which apportion.toml:sources[0] scrapes too"
    )
    assert loaded(SCRAPE + 'families = ["dcgm"]\n' + second + 'families = ["vllm"]\n').warnings == ()
