"""Status: how far figures reach and whether everything adds up."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from rich.console import Console

from apportion.ledger.connection import read_only
from exporters import status
from exporters.results import publish
from tests.frozen import FrozenClock
from tests.steps.attribution.metered import NOVEMBER, OCTOBER
from tests.unit.exporters.conftest import results_of, worked_example

TROUBLES = """
INSERT INTO raw.batch BY NAME
SELECT 1 AS batch_no, 'usage' AS kind, 'usage' AS format, 'f' AS stream, 0 AS position_start, 10 AS position_end, TIMESTAMP '2026-11-01' AS ingested_at,
    10 AS received, 5 AS landed, 2 AS duplicates, 1 AS superseded, 1 AS conflicts, 1 AS rejected, 3 AS skewed, 0 AS dropped_tags;
INSERT INTO raw.claim VALUES (1, 2);
INSERT INTO raw.rejection BY NAME
SELECT unnest([1, 2]) AS rejection_no, 1 AS batch_no, 'usage' AS kind, 'usage' AS format, 'f' AS stream, unnest(['', 'gateway']) AS source, 1 AS record, unnest([1, 17]) AS line,
    unnest(['conflict', 'no_zone']) AS reason, '' AS detail, '' AS digest, TIMESTAMP '2026-11-01' AS rejected_at;
INSERT INTO metering.refused_hour SELECT TIMESTAMP '2026-10-01' + to_hours(h::INTEGER), 'no rate for h200', TIMESTAMP '2026-11-01' FROM range(5, 7) AS t (h);
INSERT INTO ledger.job_run VALUES ('meter', 'ok', '2 hours metered', TIMESTAMP '2026-11-01 01:00', 1000000),
    ('meter', 'failed', E'disk\\x1b[31m full', TIMESTAMP '2026-11-01 02:00', 1000000);
INSERT INTO raw.stream_position VALUES ('f', 10, 10, '{}', TIMESTAMP '2026-11-01');
"""


def unmapped_and_lost(books):
    """Two teams, an unmapped caller, a lost log and tokens that no deployment took."""
    worked_example(books)
    where = {"pool": "h100-prod", "deployment": "llama70b"}
    books.charge(0, 500_000_000, tokens=5, caller=books.caller("stranger"), **where)
    books.charge(0, 1_000_000_000, cause="busy_no_tokens", **where)
    books.charge(0, None, tokens=9, caller=books.caller("stranger"), pool="", deployment="", cause="unplaced")
    books.charge(
        0,
        1_250_000_000,
        tokens=3,
        caller=books.caller("stranger"),
        pool="",
        deployment="",
        kind="output",
        provider="openai",
        cost_kind="external",
    )
    books.session.do(TROUBLES)
    books.session.do(
        "INSERT INTO metering.credit_hourly VALUES (TIMESTAMP '2026-10-01', 'startup', 3000000000, 1000000000)"
    )
    books.session.do("INSERT INTO metering.credit_hourly VALUES (TIMESTAMP '2026-10-01', 'whole', 5, 5)")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The status of a ledger with troubles."""
    return status.status(results_of(tmp_path_factory.mktemp("troubles"), unmapped_and_lost))


def test_status_is_json(found):
    """Everything in it can be written as JSON and read back the same."""
    assert json.loads(json.dumps(found)) == found


def test_a_source_of_several_kinds_is_counted_whole(tmp_path_factory):
    """A topic may carry usage and samples; its line is the sum of both."""

    def fill(books):
        worked_example(books)
        books.session.do(
            TROUBLES.split(";", maxsplit=1)[0]
            .replace(
                "1 AS batch_no, 'usage' AS kind", "unnest([1, 2]) AS batch_no, unnest(['usage', 'engine']) AS kind"
            )
            .replace("'f' AS stream", "'kafka:all' AS stream")
        )

    ingest = status.status(results_of(tmp_path_factory.mktemp("kinds"), fill))["ingest"]
    assert (ingest["received"], ingest["adds_up"]) == (20, True)
    assert ingest["formats"]["all"] == {
        "received": 20, "landed": 10, "duplicates": 4, "superseded": 2, "conflicts": 2, "rejected": 2, "skewed": 6, "claimed": 0}  # fmt: skip


def test_counts_of_ingest_add_up(found):
    """Received is the sum of what became of the records, per format too; rejections have their reasons."""
    assert found["ingest"] == {
        "received": 10, "landed": 5, "duplicates": 2, "superseded": 1, "conflicts": 1, "rejected": 1, "skewed": 3, "claimed": 2, "adds_up": True,
        "formats": {"usage": {"received": 10, "landed": 5, "duplicates": 2, "superseded": 1, "conflicts": 1, "rejected": 1, "skewed": 3, "claimed": 2}},
    }  # fmt: skip
    assert found["rejections"] == [
        {"format": "usage", "reason": reason, "records": 1, "replayed": 0, "newest_stream": "f", "newest_line": line, "newest_reporter": by}
        for reason, line, by in (("conflict", 1, ""), ("no_zone", 17, "gateway"))]  # fmt: skip


def test_the_law_is_a_line(found):
    """Each month says what it cost, what its lines charge, and that they are equal."""
    assert [(month["month"], month["origin_cost"], month["charged_cost"], month["conserved"]) for month in found["months"]] == [
        ("2026-10", "7.500000000", "7.500000000", True)]  # fmt: skip


def test_sources_that_usage_is_from_are_named(tmp_path_factory):
    """With the hour each was last heard of in, so that a log that is missing can be found."""

    def fill(books):
        worked_example(books)
        books.session.do("""
INSERT INTO metering.placed_usage_hourly (charge_period_start, pool_no, deployment_no, provider, model_no, caller_no, tier,
    uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, requests, events)
SELECT TIMESTAMP '2026-10-01 00:00', 0, 0, 'self', 0, caller_no, '', 1, 0, 0, 0, 0, 1, 1 FROM raw.caller WHERE caller_no = 1""")

    told = status.status(results_of(tmp_path_factory.mktemp("sources"), fill))
    page = io.StringIO()
    status.show(told, Console(file=page))
    (source,) = told["sources"]

    assert f"  usage from {source['source']}, last in the hour of 2026-10-01T00:00:00Z\n" in page.getvalue()


def test_a_month_says_what_no_law_holds(found):
    """External spend, tokens without a cost with why and what to do, and what credits granted, used and lost, each in its month."""
    (month,) = found["months"]
    assert (month["charged_cost"], month["external_cost"], month["tokens_without_cost"]) == (
        "7.500000000",
        "1.250000000",
        9,
    )
    assert found["without_cost"] == [{"month": "2026-10", "provider": "self", "cause": "unplaced", "tokens": 9}]
    assert [(one["credit"], one["granted_cost"], one["used_cost"], one["lost_cost"]) for one in found["credits"]] == [
        ("startup", "3.000000000", "1.000000000", "2.000000000"), ("whole", "0.000000005", "0.000000005", "0.000000000")]  # fmt: skip

    page = io.StringIO()
    status.show(found, Console(file=page))
    assert (
        "  charged: 7.500000000 USD for own GPUs, 1.250000000 USD of external providers; 9 tokens without a cost\n"
        "  no cost: 9 tokens of provider self, unplaced: no deployment takes these requests, or several could; let events"
    ) in page.getvalue()
    assert (
        "  credit startup: 3.000000000 USD granted, 1.000000000 used, 2.000000000 lost; what an hour grants and its pools "
        "do not owe is lost\n"
        "  credit whole: 0.000000005 USD granted, 0.000000005 used, 0.000000000 lost\n"
    ) in page.getvalue()


def test_nobodys_shares_are_shown_by_pool(found):
    """Unmapped and unattributed parts are of the pool's workload; unplaced tokens are counted where they are, in no pool."""
    pools = {pool["pool"]: pool for pool in found["pools"]}

    assert (pools["h100-prod"]["unmapped_ratio"], pools["h100-prod"]["unattributed_ratio"]) == (0.083333, 0.166667)
    assert (pools["h100-prod"]["unmapped_cost"], pools["h100-prod"]["workload_cost"]) == ("0.500000000", "6.000000000")
    assert (pools[""]["unplaced_tokens"], pools[""]["unmapped_ratio"]) == (9, None)


def test_refused_hours_say_why(found):
    """Refused hours are grouped by reason, with the first and the last, and the watermark stops before them."""
    assert found["refused"] == [
        {"reason": "no rate for h200", "hours": 2, "first": "2026-10-01T05:00:00Z", "last": "2026-10-01T06:00:00Z"}]  # fmt: skip
    assert found["watermark"] == f"{OCTOBER.start + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


def test_last_runs_are_shown(found):
    """Each job says how its last run ended and how often it failed."""
    assert [(job["job"], job["runs"], job["failed"], job["outcome"]) for job in found["jobs"]] == [
        ("meter", 2, 1, "failed")
    ]
    assert {"attribution.charge_hourly", "attribution.published"} <= {step["step"] for step in found["steps"]}
    assert found["streams"] == [{"stream": "f", "position": 10, "records": 10, "updated_at": "2026-11-01T00:00:00Z"}]


def test_people_read_it(found):
    """Printed, it says the same in sentences, and nothing from a ledger can move the cursor."""
    page = io.StringIO()
    status.show(found, Console(file=page, width=60))
    printed = page.getvalue()

    assert "Figures are final up to 2026-10-01T01:00:00Z: 1 hours metered, 0 to meter again, 2 refused" in printed
    assert "refused: 2 hours from 2026-10-01T05:00:00Z: no rate for h200" in printed
    assert (
        "Ingest: 10 received = 5 landed + 2 duplicates + 1 superseded + 1 conflicts + 1 rejected (3 with clocks ahead"
        in printed
    )
    assert "2026-10: sum of charges = sum of origin: yes, 7.500000000 of 7.500000000 USD" in printed
    assert "rejected: 1 of usage: conflict; the newest is line 1 of f\n" in printed
    assert "rejected: 1 of usage: no_zone; the newest is line 17 of f, which gateway reported\n" in printed
    assert "h100-prod" in printed
    assert "8.33%" in printed
    assert "\x1b" not in printed


def test_an_empty_ledger_has_a_status(kept):
    """Before anything arrived the status says so."""
    found = status.status(read_only(publish(kept, FrozenClock(NOVEMBER))))
    page = io.StringIO()
    status.show(found, Console(file=page))

    assert "Figures are final up to nothing yet: 0 hours metered" in page.getvalue()
    assert (found["ingest"]["received"], found["ingest"]["adds_up"], found["months"], found["pools"]) == (
        0,
        True,
        [],
        [],
    )
