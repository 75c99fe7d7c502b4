"""What must hold after a round: the ledger is the set of what was sent, counts add up, and money is the oracle's."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from apportion.config.load import load
from apportion.domain.clock import SystemClock
from apportion.ledger.connection import Session
from apportion.pipeline import Pipeline
from tests.e2e.agreement import agrees
from tests.e2e.traces import Trace
from tests.faults.storm.fleet import TOKENS, BrokenPromise
from tests.faults.storm.plan import Plan, Record
from tests.faults.storm.world import KINDS, Document, Event, revision
from tests.oracle_fleet import fleet
from tests.oracle_usage import caller

EVENTS = """
SELECT origin.source, event.event_id, event.revision, event.occurred_at, model.model_id, caller.caller, series.provider,
    series.deployment, series.tier, event.uncached_input_tokens, event.cache_read_tokens, event.cache_write_tokens,
    event.output_tokens, event.reasoning_tokens
FROM {table} AS event
JOIN raw.source AS origin USING (source_no) JOIN raw.series AS series USING (series_no)
JOIN book.model AS model ON model.model_no = series.model_no JOIN raw.caller AS caller ON caller.caller_no = series.caller_no
"""
SAMPLES = """
SELECT gpu_uuid, sampled_at, deployment, active_ppm
FROM raw.gpu_sample JOIN raw.gpu_device USING (device_no) JOIN raw.gpu_series USING (gpu_series_no)
"""
COUNTS = ("received", "landed", "duplicates", "superseded", "conflicts", "rejected")


def check(folder: Path, plan: Plan, document: Document, ends: Mapping[str, int]) -> None:
    """Open the ledger that a clean stop left, and look at everything.

    Args:
        folder: of the round.
        plan: of the round.
        document: the whole config.
        ends: where each partition ends, by `topic/number`.

    Raises: BrokenPromise, AssertionError.
    """
    leftover = sorted(str(path) for path in (folder / "apportion.duckdb.work").glob("**/*"))
    same("files left in the work directory", leftover, [])
    with Pipeline.open(load(folder / "apportion.toml"), SystemClock()) as pipeline:
        session = pipeline.ledger.session()
        first = {"first": document["ledger"]["metered_from"]}
        left = session.rows("SELECT charge_period_start FROM raw.dirty_hour WHERE charge_period_start >= $first", first)
        same("hours that were left unmetered", left, [])
        _events(session, plan, document)
        _samples(session, plan)
        _rejections(session, plan)
        _requests(session, plan)
        _batches(session, plan, ends)
        _money(pipeline, plan, document)
    said = (folder / "serve.log").read_text(errors="replace")
    same("tokens in the log", [name for name, token in TOKENS.items() if token in said], [])


def same(what: str, found: Any, wanted: Any) -> None:
    """Raises: BrokenPromise, saying what is there too much and what is missing."""
    if found == wanted:
        return
    found_, wanted_ = (one if isinstance(one, Counter) else Counter(map(repr, one)) for one in _lists(found, wanted))
    raise BrokenPromise(
        f"{what}\n  there, and should not be: {_few(found_ - wanted_)}\n  missing: {_few(wanted_ - found_)}"
    )


def _lists(*ones: Any) -> Iterable[Any]:
    for one in ones:
        if isinstance(one, Mapping) and not isinstance(one, Counter):
            yield one.items()
        else:
            yield one if isinstance(one, list | Counter | tuple) else [one]


def _few(found: Counter[Any]) -> str:
    shown = ", ".join(f"{count} x {one}" for one, count in list(found.items())[:5])
    return f"{found.total()}: {shown}" if found else "nothing"


def _row(document: Document, event: Event) -> tuple[Any, ...]:
    return (
        event["source"],
        event["event_id"],
        revision(event),
        event["occurred_at"],
        event["model"],
        caller(fleet(document), event),
        event.get("provider", "self"),
        event.get("deployment", ""),
        event.get("tier", ""),
        *(event.get(f"{kind}_tokens", 0) for kind in KINDS),
    )


def _events(session: Session, plan: Plan, document: Document) -> None:
    for table, wanted in (
        ("raw.usage_event", plan.truth.live),
        (
            "raw.superseded_event",
            [one for known in plan.truth.versions.values() for one in sorted(known, key=revision)[:-1]],
        ),
    ):
        found = [(*row[:3], row[3].isoformat(), *row[4:]) for row in session.rows(EVENTS.format(table=table))]
        same(table, Counter(found), Counter(_row(document, event) for event in wanted))


def _samples(session: Session, plan: Plan) -> None:
    found = Counter((row[0], row[1].isoformat(), row[2], row[3]) for row in session.rows(SAMPLES))
    wanted = Counter(
        (one["gpu_uuid"], one["sampled_at"], one["deployment"], int(one["active_ratio"] * 10**6))
        for one in plan.truth.samples
    )
    same("raw.gpu_sample", found, wanted)


def _lane_kind(stream: str) -> str:
    return {"kafka": "topic", "http": "sender", "tail": "log"}[stream.partition(":")[0]]


def _rejections(session: Session, plan: Plan) -> None:
    """Each bad or conflicting record once per delivery; without a key a request may have been repeated."""
    found: Counter[tuple[str, str, str]] = Counter()
    for stream, reason, digest in session.rows("SELECT stream, reason, digest FROM raw.rejection"):
        found[_lane_kind(stream), reason, digest] += 1
    wanted: Counter[tuple[str, str, str]] = Counter()
    for name, records in plan.lanes.items():
        kind = name.partition(" ")[0]
        wanted.update((kind, _reason(one), _digest(one)) for one in records if _reason(one))
    repeatable = _sent_without_a_key(plan)
    for one in list(found):
        if one[0] == "sender" and one[2] in repeatable and wanted[one]:
            found[one] = min(found[one], wanted[one])
    same("raw.rejection", found, wanted)


def _reason(record: Record) -> str:
    return "conflict" if record.conflicts else record.bad


def _digest(record: Record) -> str:
    return hashlib.sha256(record.data).hexdigest()


def _sent_without_a_key(plan: Plan) -> set[str]:
    return {_digest(one) for lane in plan.senders for request in lane if not request.key for one in request.contents}


def _requests(session: Session, plan: Plan) -> None:
    """Every key once, with the receipt that its sender was given."""
    found = {
        key: json.loads(answer)["received"]
        for key, answer in session.rows("SELECT request_key, answer FROM raw.request")
    }
    wanted = {one.key: one.records for lane in plan.senders for one in lane if one.key}
    same("raw.request", {key.partition(" ")[2]: received for key, received in found.items()}, wanted)


def _batches(session: Session, plan: Plan, ends: Mapping[str, int]) -> None:
    """Counts add up within batches, over their parts, and to what is in the ledger; what was read was read once."""
    sums = ", ".join(f"sum(part.{name})::BIGINT" for name in COUNTS)
    kept = ", ".join(f"any_value(batch.{name})::BIGINT" for name in COUNTS)
    torn = session.rows(
        f"SELECT batch_no, [{sums}], [{kept}] FROM raw.batch AS batch JOIN raw.batch_part AS part USING (batch_no) GROUP BY ALL HAVING [{sums}] <> [{kept}]"
    )
    same("batches whose parts do not add up", torn, [])
    totals = dict.fromkeys(COUNTS, 0)
    for row in session.rows(
        f"SELECT {', '.join(f'coalesce(sum({name}), 0)::BIGINT' for name in COUNTS)} FROM raw.batch"
    ):
        totals = dict(zip(COUNTS, row, strict=True))
    revisions = sum(len(known) for known in plan.truth.versions.values())
    ids = len(plan.truth.versions)
    ((rejected, conflicts),) = session.rows(
        "SELECT count(*) FILTER (reason <> 'conflict'), count(*) FILTER (reason = 'conflict') FROM raw.rejection"
    )
    same(
        "sums of raw.batch",
        {name: totals[name] for name in ("landed", "superseded", "conflicts", "rejected")},
        {
            "landed": ids + len(plan.truth.samples),
            "superseded": revisions - ids,
            "conflicts": conflicts,
            "rejected": rejected,
        },
    )
    _reads(session, plan, ends)


def _reads(session: Session, plan: Plan, ends: Mapping[str, int]) -> None:
    """Kafka: every offset of a partition in one part, every record received once. Files: every line received once."""
    parts: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    sql = "SELECT stream, position_start, position_end, received FROM raw.batch_part WHERE stream LIKE 'kafka:%' ORDER BY ALL"
    for stream, start, end, received in session.rows(sql):
        topic, _, number = stream.partition("/")[2].rpartition("/")
        parts[f"{topic.partition('[')[0]}/{number}"].append((start, end, received))
    wanted = {f"usage/{n}": len(plan.lanes[f"topic {n}"]) for n in range(len(plan.topic))} | {
        "gpu/0": len(plan.lanes["samples"])
    }
    for place, end in ends.items():
        ranges = parts.get(place, [])
        gaps = [b[0] for a, b in zip([(0, 0, 0), *ranges], [*ranges, (end, end, 0)], strict=True) if a[1] != b[0]]
        same(f"offsets of {place} at which a part does not follow", gaps, [])
        short = place.partition("-")[0] + "/" + place.rpartition("/")[2]
        same(f"records received of {place}", sum(part[2] for part in ranges), wanted[short])
    logs: dict[str, list[tuple[int, int]]] = defaultdict(list)
    sql = "SELECT stream, position_start, position_end FROM raw.batch_part WHERE stream LIKE 'tail:%' ORDER BY ALL"
    for stream, start, end in session.rows(sql):
        logs[stream].append((start, end))
    torn = {
        name: ranges for name, ranges in logs.items() if [0, *(b for _, b in ranges[:-1])] != [a for a, _ in ranges]
    }
    same("logs that were not read from end to end", torn, {})
    received = session.value("SELECT coalesce(sum(received), 0)::BIGINT FROM raw.batch WHERE stream LIKE 'tail:%'")
    same(
        "lines received of logs", received, sum(len(plan.lanes[name]) for name in plan.lanes if name.startswith("log"))
    )


def _money(pipeline: Pipeline, plan: Plan, document: Document) -> None:
    """Every charge, move, month line and unit cost is the oracle's, and all of it is what the fleet cost."""
    session = pipeline.ledger.session()
    first = document["ledger"]["metered_from"]
    hours = [row[0] for row in session.rows("SELECT charge_period_start FROM metering.metered_hour ORDER BY ALL")]
    same("hours metered", hours, [first + timedelta(hours=n) for n in range(len(hours))])
    trace = Trace(
        name=f"storm {plan.seed}",
        events=plan.truth.live,
        samples=plan.truth.samples,
        start=first,
        end=hours[-1] + timedelta(hours=1),
    )
    agrees(pipeline, document, trace)
