"""Rendering by SQL: what the client library parses back is what the tables hold, exactly, for any label value."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import exposition
from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from apportion.domain import money
from apportion.ledger.connection import Session
from exporters.families import Family, decimal
from exporters.prometheus import pack, rendered, takes_openmetrics

LABELS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["\\", '"', "\n", "\\n", '\\"', "\r\n", "\u2028", "a\\\\b", "é", "'", "{}", ",=", " ", ""]
)
NANOS = st.integers(-(10**30), 10**30) | st.integers(-20, 20)
Row = tuple[str, str, int | None]


CONNECTION = duckdb.connect(config={"threads": 1})
CONNECTION.execute("CREATE TABLE shown (b VARCHAR, a VARCHAR, nano HUGEINT)")


def family(rows: Sequence[Row], kind: Literal["counter", "gauge"] = "counter") -> tuple[Session, list[Family]]:
    """A session whose table holds the rows, and the family that shows them."""
    session = Session(CONNECTION)
    session.do("DELETE FROM shown")
    session.do(
        "INSERT INTO shown SELECT unnest($b::VARCHAR[]), unnest($a::VARCHAR[]), unnest($nano::HUGEINT[])",
        {name: [row[place] for row in rows] for place, name in enumerate(("b", "a", "nano"))},
    )
    return session, [
        Family(
            kind,
            "apportion_x_cost_usd",
            ("b", "a"),
            "usd",
            "Cost of x.",
            f"SELECT b, a, {decimal('nano', 9)} AS sample FROM shown",
        )
    ]


def by_library(rows: Sequence[Row]) -> CollectorRegistry:
    """The same rows in the client library's hands, sorted as ours are."""
    metric = Metric("apportion_x_cost_usd", "Cost of x.", "counter", "usd")
    for b, a, nanos in sorted(rows, key=lambda row: (row[1].encode(), row[0].encode())):
        if nanos is not None:
            metric.add_sample("apportion_x_cost_usd_total", {"a": a, "b": b}, float(Decimal(nanos).scaleb(-9)))

    class Fixed:
        def collect(self) -> list[Metric]:
            return [metric]

    registry = CollectorRegistry()
    registry.register(Fixed())
    return registry


UNIQUE_ROWS = st.lists(st.tuples(LABELS, LABELS, NANOS), min_size=1, max_size=6, unique_by=lambda row: row[:2])


@given(UNIQUE_ROWS)
def test_text_is_what_the_library_would_have_written(rows: list[Row]) -> None:
    """Same families and samples for any label value and amount, and all but the digits the same byte for byte."""
    ours, _ = rendered(*family(rows))
    theirs = exposition.generate_latest(by_library(rows))

    assert list(text_string_to_metric_families(ours.decode())) == list(text_string_to_metric_families(theirs.decode()))
    assert without_values(ours) == without_values(theirs)


@given(UNIQUE_ROWS)
def test_openmetrics_is_what_the_library_would_have_written(rows: list[Row]) -> None:
    """The strict parser takes it and finds the same."""
    positive = [(b, a, abs(nanos or 0)) for b, a, nanos in rows]
    _, ours = rendered(*family(positive))
    theirs = openmetrics.generate_latest(by_library(positive))

    assert list(openmetrics_parser.text_string_to_metric_families(ours.decode() + "# EOF\n")) == list(
        openmetrics_parser.text_string_to_metric_families(theirs.decode())
    )
    assert [*without_values(ours)[:-1], b"# EOF"] == without_values(theirs)[:-1]


def without_values(page: bytes) -> list[bytes]:
    """Lines, samples without their values."""
    return [line if line.startswith(b"#") else line.rpartition(b" ")[0] for line in page.split(b"\n")]


@given(NANOS)
def test_money_is_written_to_the_nano(nanos: int) -> None:
    """The digits are those of the ledger, also where a float could not hold them."""
    text, _ = rendered(*family([("", "", nanos)]))

    assert text.split(b"\n")[2] == f'apportion_x_cost_usd_total{{a="",b=""}} {money.text(nanos)}'.encode()


def test_a_missing_value_is_absent() -> None:
    """NULL has no sample; a family without a sample is not mentioned."""
    some, _ = rendered(*family([("b", "a", None), ("c", "a", 1)]))
    none = rendered(*family([("b", "a", None)]))

    assert some.count(b"\n") == 3
    assert none == (b"", b"")


def test_a_gauge_keeps_its_name() -> None:
    """Only counters end in _total."""
    text, open_metrics = rendered(*family([("b", "a", 1)], "gauge"))

    assert text == (
        b"# HELP apportion_x_cost_usd Cost of x.\n# TYPE apportion_x_cost_usd gauge\n"
        b'apportion_x_cost_usd{a="a",b="b"} 0.000000001\n'
    )
    assert b"# UNIT apportion_x_cost_usd usd\n" in open_metrics


def test_a_family_without_labels_has_one_bare_sample() -> None:
    """No braces where there is nothing to put in them."""
    bare = Family("gauge", "apportion_conserved", (), "", "Ok.", "SELECT '1' AS sample")

    assert rendered(Session(CONNECTION), [bare])[0].endswith(b"\napportion_conserved 1\n")


@given(st.binary(min_size=1, max_size=200), st.binary(min_size=1, max_size=200))
def test_packed_pages_join(first: bytes, second: bytes) -> None:
    """Two packed pages unpack to both, so the ledger's part is packed once per publish."""
    both = pack(first) + pack(second)

    assert gzip.decompress(both.packed) == both.plain == first + second


PROMETHEUS_242 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text; version=1.0.0", True),
        ("application/openmetrics-text; version=0.0.1", False),
        ("application/openmetrics-text; version=2.0.0", False),
        (PROMETHEUS_242, True),
        ("text/plain, application/openmetrics-text;q=0.9", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=nonsense", False),
        ("APPLICATION/OpenMetrics-Text ; Version=1.0.0", True),
    ],
)
def test_which_accept_headers_prefer_openmetrics(accept: str, taken: bool) -> None:
    """The higher quality wins, OpenMetrics on a tie, and only version 1.0.0 of it is spoken."""
    assert takes_openmetrics(accept) is taken
