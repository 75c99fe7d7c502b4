"""Scraping targets and asking a server: each target by itself, and each window exactly once."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from apportion.config.sources import PrometheusSource
from apportion.domain.errors import InputError, LedgerError
from ingest.journal import StalePositionError
from ingest.prometheus import querying
from ingest.prometheus.client import FetchError
from ingest.prometheus.landing import Landing, Span
from ingest.prometheus.querying import QueryCollector
from ingest.prometheus.scraping import ScrapeCollector, target
from ingest.prometheus.server import Server, selector
from ingest.prometheus.target import Scraped
from ingest.supervise import Health
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import NOON, RULES, Desk
from tests.unit.ingest.exporter import Answer, Asked, Exporter, exporter

LIVE = RULES.__class__(oldest=RULES.oldest, tags=RULES.tags, sample_hold=RULES.sample_hold, late=timedelta(days=35))


def page(tokens: int) -> bytes:
    """An engine and a GPU."""
    return f'vllm:generation_tokens_total{{engine="0",model_name="m"}} {tokens}\nDCGM_FI_DEV_GPU_UTIL{{UUID="g"}} 50\n'.encode()


class Round:
    """A scraping source, round by round."""

    def __init__(self, desk: Desk, *targets: str, interval_seconds: int = 15) -> None:
        settings = PrometheusSource(targets=targets, interval_seconds=interval_seconds)
        self.health = Health("m", "prometheus", desk.clock)
        self.source = ScrapeCollector(
            "m", settings, ledger=desk.ledger, find_format=desk.formats.get, rules=LIVE, clock=desk.clock
        )
        self.targets = [target(settings, url, "", desk.clock) for url in targets]
        self.landing = Landing("m", ledger=desk.ledger, find_format=desk.formats.get, rules=LIVE, clock=desk.clock)
        self.pool = ThreadPoolExecutor(4)

    def __call__(self) -> None:
        self.source.round(self.pool, self.targets, self.landing, self.health)

    def close(self) -> None:
        """Let go of everything."""
        for one in self.targets:
            one.close()
        self.pool.shutdown()
        self.landing.close()


@pytest.fixture
def scraping(desk: Desk) -> Iterator[Callable[..., Round]]:
    """Makes scraping sources."""
    made: list[Round] = []

    def make(*targets: str, **how: Any) -> Round:
        made.append(Round(desk, *targets, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_round_lands_what_all_targets_say(desk: Desk, scraping: Callable[..., Round]) -> None:
    """At the time of the scrape, under the source's own name."""
    with exporter(page(5)) as one, exporter(gzip.compress(page(7))) as other:
        packed = other.say
        other.say = lambda asked: Answer(packed(asked).body, headers={"Content-Encoding": "gzip"})
        a_round = scraping(f"{one.url}/metrics", f"{other.url}/metrics")
        a_round()
        desk.clock.advance(timedelta(seconds=15))
        a_round()
    instances = sorted(url.removeprefix("http://") for url in (one.url, other.url))

    assert sorted({row[0] for row in desk.engines("instance", "model")}) == instances
    assert sorted(desk.engines("sampled_at", "output_tokens")) == [
        ("2026-10-15T12:00:00.000000Z", 5),
        ("2026-10-15T12:00:00.000000Z", 7),
        ("2026-10-15T12:00:15.000000Z", 5),
        ("2026-10-15T12:00:15.000000Z", 7),
    ]
    assert a_round.health.condition().state == "running"
    totals = "SELECT kind, outcome, records FROM export.ingest_totals WHERE source = 'm' AND outcome IN ('received', 'landed') ORDER BY ALL"
    assert desk.ledger.session().rows(totals) == [
        ("engine", "landed", 4),
        ("engine", "received", 4),
        ("gpu", "landed", 2),
        ("gpu", "received", 4),
    ]


def test_a_dead_target_is_named_and_stops_no_other(desk: Desk, scraping: Callable[..., Round]) -> None:
    """It is asked last from then on, and back once it answers."""
    with exporter(page(5)) as one:
        with exporter(page(7)) as other:
            port = int(other.url.rpartition(":")[2])
            dead = f"{other.url}/metrics"
        a_round = scraping(dead, f"{one.url}/metrics")
        a_round()
        a_round()
        (note,) = a_round.health.condition().notes
        assert note == f"1 of 2 targets give nothing: {dead} gave no answer (Connection refused)."
        assert a_round.health.condition().state == "running"
        desk.clock.advance(timedelta(seconds=15))
        with exporter(page(9), port):
            a_round()
    assert a_round.health.condition().notes[-1] == f"{dead} gives metrics again."
    assert sorted(desk.engines("output_tokens")) == [5, 5, 9]


def test_a_target_that_drips_is_cut_off(desk: Desk, scraping: Callable[..., Round]) -> None:
    """The others land when the interval is over."""
    with exporter(lambda _: Answer(page(5), drip=True)) as slow, exporter(page(7)) as quick:
        a_round = scraping(f"{slow.url}/metrics", f"{quick.url}/metrics", interval_seconds=1)
        a_round()

    assert desk.engines("output_tokens") == [7]
    (note,) = a_round.health.condition().notes
    assert note.endswith(("took longer than the interval.", "gave no answer in 1 seconds."))


def test_a_target_that_does_not_even_end_is_left_alone(
    desk: Desk, scraping: Callable[..., Round], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver takes its time; the others go on without it, and it is asked again when it is back."""
    resolved = threading.Event()
    monkeypatch.setattr("ingest.prometheus.scraping.GRACE_SECONDS", 0.01)
    with exporter(page(5)) as one:
        a_round = scraping("http://127.0.0.1:9/metrics", f"{one.url}/metrics", interval_seconds=1)
        asked: list[int] = []

        def hangs() -> Scraped:
            asked.append(1)
            resolved.wait(30)
            raise FetchError("gave no answer")

        monkeypatch.setattr(a_round.targets[0], "scrape", hangs)
        a_round()
        desk.clock.advance(timedelta(seconds=15))
        a_round()
        assert (len(asked), desk.engines("output_tokens")) == (1, [5, 5])
        assert a_round.health.condition().notes[0].endswith("/metrics took longer than the interval.")
        resolved.set()
        while not all(future.done() for future in a_round.source._stuck.values()):
            threading.Event().wait(0.01)
        a_round()
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(b"<html></html>\n"), "is a web page, and no metrics"),
        (Answer(b"up 1\n"), "has no metric of an engine or a GPU that is read; correct the path, or see `families`"),
        (Answer(status=503), "answers 503"),
    ],
)
def test_a_source_whose_targets_all_give_nothing_fails(
    desk: Desk, scraping: Callable[..., Round], answer: Answer, said: str
) -> None:
    """It is tried again as any source is."""
    with exporter(lambda _: answer) as one, pytest.raises(FetchError) as raised:
        scraping(f"{one.url}/metrics")()

    assert str(raised.value).startswith(f"none of 1 targets gives anything; {one.url}/metrics {said}")
    assert desk.count("raw.engine_sample") == 0


def test_readings_that_are_left_out_are_counted_and_told_once(scraping: Callable[..., Round]) -> None:
    """By target and reason."""
    with exporter(page(5) + b'vllm:kv_cache_usage_perc{engine="0",model_name="m"} NaN\n') as one:
        a_round = scraping(f"{one.url}/metrics")
        a_round()
        a_round()

    assert a_round.source.ignored == {"no_number": 2}
    assert a_round.health.condition().notes == (f"{one.url}/metrics: 1 readings are left out: they are no numbers.",)


def test_replica_restart_loses_no_tokens_at_the_border(desk: Desk, scraping: Callable[..., Round]) -> None:
    """Counters land as they stand, with since when they count: what is lost or begun again is told by differences."""
    with exporter(b"") as one:
        a_round = scraping(f"{one.url}/metrics")
        began, restarted = NOON - timedelta(hours=1), NOON + timedelta(seconds=40)
        for tokens, started in ((100, began), (250, began), (40, restarted)):
            text = f"process_start_time_seconds {int(started.timestamp())}\n".encode() + page(tokens)
            one.say = lambda _, text=text: Answer(text)
            desk.clock.advance(timedelta(seconds=15))
            a_round()

    assert desk.engines("output_tokens", "started_at") == [
        (100, "2026-10-15T11:00:00.000000Z"),
        (250, "2026-10-15T11:00:00.000000Z"),
        (40, "2026-10-15T12:00:40.000000Z"),
    ]


def test_a_source_scrapes_until_it_is_told_to_stop(desk: Desk) -> None:
    """The round under way lands."""
    stop = threading.Event()

    def say(_: Asked) -> Answer:
        stop.set()
        return Answer(page(5))

    with exporter(say) as one:
        source = ScrapeCollector(
            "m", PrometheusSource(targets=(f"{one.url}/metrics",)),
            ledger=desk.ledger, find_format=desk.formats.get, rules=LIVE, clock=desk.clock,
        )  # fmt: skip
        source.run(Health("m", "prometheus", desk.clock), stop)

    assert desk.engines("output_tokens") == [5]


def test_without_the_formats_nothing_is_collected(desk: Desk) -> None:
    """It is said, rather than dropped."""
    with pytest.raises(InputError, match="there is no format gpu"):
        Landing("m", ledger=desk.ledger, find_format={}.get, rules=LIVE, clock=desk.clock)


# --- a server ------------------------------------------------------------------------------------------


class Store:
    """A Prometheus with a history: one engine counting a token a second, sampled every fifteen seconds, and one GPU."""

    def __init__(self, begin: datetime, end: datetime) -> None:
        self.times = range(int(begin.timestamp()) * 1000 + 250, int(end.timestamp()) * 1000, 15_000)
        self.windows: list[tuple[int, int]] = []
        self.size_max, self.skew_seconds = 10**9, 0
        self.clock = FrozenClock(NOON + timedelta(days=400))

    def __call__(self, asked: Asked) -> Answer:
        form = {name: values[0] for name, values in parse_qs(asked.body).items()}
        assert asked.path == "/api/v1/query"
        if form["query"] == "time()":
            now = self.clock.now().timestamp() + self.skew_seconds
            return Answer(
                json.dumps({"status": "success", "data": {"resultType": "scalar", "result": [now, f"{now}"]}}).encode()
            )
        found = re.fullmatch(r"\{__name__=~\"[a-zA-Z0-9_:|]+\"\}\[(\d+)ms\]", form["query"])
        assert found is not None
        end = round(float(form["time"]) * 1000)
        self.windows.append((end - int(found[1]), end))
        values = [
            [at / 1000, str(at // 1000)] for at in self.times if end - int(found[1]) <= at <= end
        ]  # closed, as version 2 is
        series = [
            {
                "__name__": "vllm:generation_tokens_total",
                "engine": "0",
                "model_name": "m",
                "instance": "v:8000",
                "job": "vllm",
            },
            {"__name__": "DCGM_FI_DEV_FB_USED", "UUID": "g", "instance": "d:9400", "job": "dcgm"},
            {"__name__": "DCGM_FI_DEV_FB_USED", "UUID": "no-instance"},
        ]
        result = [{"metric": one, "values": values} for one in series] if values else []
        body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()
        return Answer(body if len(body) <= self.size_max else b" " * (17 * 1024 * 1024))


class Asking:
    """A source with a server, window by window."""

    def __init__(self, desk: Desk, server: Exporter, **settings: Any) -> None:
        self.settings = PrometheusSource(**{"server": server.url, "families": ("vllm", "dcgm"), **settings})
        self.health = Health("q", "prometheus", desk.clock)
        self.source = QueryCollector(
            "q", self.settings, ledger=desk.ledger, find_format=desk.formats.get, rules=LIVE, clock=desk.clock
        )
        self.landing = Landing("q", ledger=desk.ledger, find_format=desk.formats.get, rules=LIVE, clock=desk.clock)
        self.server = Server(self.settings, "")

    def step(self) -> bool:
        """One window."""
        return self.source.step(self.server, self.landing, self.health)

    def all(self) -> None:
        """Every window that there is by now."""
        while not self.step():
            pass

    def close(self) -> None:
        """Let go of everything."""
        self.server.close()
        self.landing.close()


@pytest.fixture
def asking(fresh_desk: Desk) -> Iterator[Callable[..., Asking]]:
    """Makes sources with a server."""
    made: list[Asking] = []

    def make(server: Exporter, **settings: Any) -> Asking:
        made.append(Asking(fresh_desk, server, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def expected(store: Store, since: datetime, until: datetime) -> list[tuple[str, int]]:
    """What the ledger has to hold of an engine."""
    window = (int(since.timestamp()) * 1000, int(until.timestamp()) * 1000)
    return [
        (f"{datetime.fromtimestamp(at / 1000, tz=NOON.tzinfo):%Y-%m-%dT%H:%M:%S}.250000Z", at // 1000)
        for at in store.times
        if window[0] <= at <= window[1]
    ]


def test_missed_hours_are_caught_up_with_exactly_once(fresh_desk: Desk, asking: Callable[..., Asking]) -> None:
    """Raw samples at their own times, in windows without gap or overlap, up to the lag; restarts in between change nothing."""
    start = NOON - timedelta(hours=7)
    store = Store(start - timedelta(hours=1), NOON + timedelta(hours=1))
    with exporter(store) as server:
        for _ in range(4):
            asking(server, start=start).step()
        asking(server, start=start).all()
        fresh_desk.clock.advance(timedelta(minutes=10))
        asking(server, start=start).all()
    until = NOON + timedelta(minutes=9)

    assert fresh_desk.engines("sampled_at", "output_tokens") == expected(store, start, until)
    assert fresh_desk.samples("sampled_at") == [at for at, _ in expected(store, start, until)]
    assert all(before[1] == after[0] for before, after in zip(store.windows, store.windows[1:], strict=False))
    assert max(end - begin for begin, end in store.windows) <= querying.WINDOW_MS_MAX
    positions = "SELECT stream, position FROM raw.stream_position ORDER BY ALL"
    assert fresh_desk.ledger.session().rows(positions) == [
        (f"prometheus:q/{kind}", int(until.timestamp()) * 1000) for kind in ("engine", "gpu")
    ]


def test_a_source_begins_with_the_hour_of_its_first_run(fresh_desk: Desk, asking: Callable[..., Asking]) -> None:
    """Unless it is told to begin earlier; a start that is too late to be believed begins where belief does."""
    fresh_desk.clock.set(NOON + timedelta(minutes=30))
    store = Store(NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    with exporter(store) as server:
        asking(server).all()

    assert fresh_desk.engines("sampled_at", "output_tokens") == expected(store, NOON, NOON + timedelta(minutes=29))


def test_what_a_server_with_a_late_clock_scrapes_is_not_missed(fresh_desk: Desk, asking: Callable[..., Asking]) -> None:
    """Its samples have its times: a window ends before what its own clock calls now."""
    start = NOON - timedelta(minutes=30)
    store = Store(start, NOON)
    store.clock, store.skew_seconds = fresh_desk.clock, -600
    with exporter(store) as server:
        asking(server, start=start).all()

    assert fresh_desk.engines("sampled_at", "output_tokens") == expected(store, start, NOON - timedelta(minutes=11))


def test_two_servers_that_scrape_one_engine_are_one_reading(fresh_desk: Desk, asking: Callable[..., Asking]) -> None:
    """A pair that nobody deduplicates: of clocks that differ, one is believed, and what the other says is told to people."""
    start = NOON - timedelta(minutes=5)
    store = Store(start, NOON)

    def twice(asked: Asked) -> Answer:
        answer = json.loads(store(asked).body)
        if answer["data"]["resultType"] == "matrix":
            for one in [one for one in answer["data"]["result"] if one["metric"].get("job") == "vllm"]:
                late = [[at + 0.4, str(int(tokens) - 1)] for at, tokens in one["values"]]
                one["metric"]["prometheus_replica"] = "a"
                answer["data"]["result"].append({"metric": one["metric"] | {"prometheus_replica": "b"}, "values": late})
        return Answer(json.dumps(answer).encode())

    with exporter(twice) as server:
        one = asking(server, start=start)
        one.all()

    assert fresh_desk.engines("sampled_at", "output_tokens") == expected(store, start, NOON - timedelta(minutes=1))
    assert "somebody else scrapes the same instance" in one.health.condition().notes[0]


def test_the_label_that_tells_processes_apart_is_the_instance(fresh_desk: Desk, asking: Callable[..., Asking]) -> None:
    """Where a server calls every process of a node alike."""
    start = NOON - timedelta(minutes=5)
    with exporter(Store(start, NOON)) as server:
        asking(server, start=start, labels={"instance": "job"}).all()

    assert set(fresh_desk.engines("instance")) == {"vllm"}


def test_what_is_too_late_is_passed_over_and_written_down(fresh_desk: Desk, asking: Callable[..., Asking]) -> None:
    """An outage longer than the late limit leaves a gap that can be seen, and rejects nothing."""
    store = Store(NOON, NOON + timedelta(minutes=5))
    with exporter(store) as server:
        asking(server).all()
        fresh_desk.clock.set(NOON + timedelta(days=40))
        asking(server).step()
    oldest = NOON + timedelta(days=40) - timedelta(days=35) + querying.LATE_MARGIN
    rows = fresh_desk.ledger.session().rows(
        "SELECT stream, position_from, position_to, reason FROM raw.stream_gap ORDER BY ALL"
    )

    assert rows == [
        (
            f"prometheus:q/{kind}",
            int(NOON.timestamp()) * 1000 - querying.LAG_MS,
            int(oldest.timestamp()) * 1000,
            "late_limit",
        )
        for kind in ("engine", "gpu")
    ]
    assert fresh_desk.count("raw.rejection") == 0


def test_a_window_that_failed_is_asked_for_again_whole(fresh_desk: Desk, asking: Callable[..., Asking]) -> None:
    """Whatever the server answers with; nothing of it was believed."""
    store = Store(NOON - timedelta(minutes=5), NOON)
    broken = [
        Answer(status=503),
        Answer(b"no json"),
        Answer(b'{"status": "error", "error": "out of luck"}'),
        Answer(b'{"status": "success", "data": {"resultType": "vector", "result": []}}'),
        Answer(b'{"status": "success", "data": {"resultType": "matrix", "result": [{}]}}'),
        Answer(b'{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"instance": "i", "__name__": "DCGM_FI_DEV_FB_USED", "UUID": "u"}, "values": [["x"]]}]}}'),
        Answer(b"[]"),
    ]  # fmt: skip
    start = NOON - timedelta(minutes=5)
    with exporter(lambda asked: store(asked) if "time%28%29" in asked.body else broken.pop()) as server:
        one = asking(server, start=start)
        for _ in range(len(broken)):
            with pytest.raises(FetchError):
                one.step()
        server.say = store
        one.all()

    assert fresh_desk.engines("sampled_at", "output_tokens") == expected(store, start, NOON - timedelta(minutes=1))


@pytest.mark.parametrize("result", [[], {}, ["x", "y"], [1, "+Inf"]])
def test_a_server_that_does_not_tell_the_time_is_none(asking: Callable[..., Asking], result: Any) -> None:
    """Without it nobody knows which scrapes are over."""
    said = Answer(json.dumps({"status": "success", "data": {"resultType": "scalar", "result": result}}).encode())
    with exporter(lambda _: said) as server, pytest.raises(FetchError, match="does not tell the time"):
        asking(server).step()


def test_a_server_that_fails_is_named(asking: Callable[..., Asking]) -> None:
    """Whoever reads what a source says of itself need not look its address up."""
    with exporter(lambda _: Answer(b"", status=401)) as server:
        one = asking(server)
        with pytest.raises(FetchError) as raised:
            one.source.run(one.health, threading.Event())

    assert str(raised.value) == f"{server.url} answers 401; correct token, or username and password"


def test_a_window_that_says_too_much_is_halved(fresh_desk: Desk, asking: Callable[..., Asking]) -> None:
    """Until it fits; memory is bounded by the answer."""
    start = NOON - timedelta(minutes=30)
    store = Store(start, NOON)
    store.size_max = 1_500
    with exporter(store) as server:
        asking(server, start=start).all()

    assert fresh_desk.engines("sampled_at", "output_tokens") == expected(store, start, NOON - timedelta(minutes=1))


def test_a_kill_between_the_two_kinds_lands_the_rest_once(
    fresh_desk: Desk, asking: Callable[..., Asking], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream that moved takes only what lies after its position."""
    start = NOON - timedelta(minutes=5)
    store = Store(start, NOON)
    with exporter(store) as server:
        one = asking(server, start=start)
        land = Landing.land

        def dies(self: Landing, kind: Any, *rest: Any, **named: Any) -> Any:
            if kind == "engine":
                raise LedgerError("killed")
            return land(self, kind, *rest, **named)

        with monkeypatch.context() as patched:
            patched.setattr(Landing, "land", dies)
            with pytest.raises(LedgerError, match="killed"):
                one.step()
        assert (fresh_desk.count("raw.gpu_sample") > 0, fresh_desk.count("raw.engine_sample")) == (True, 0)
        asking(server, start=start).all()

    assert fresh_desk.engines("sampled_at", "output_tokens") == expected(store, start, NOON - timedelta(minutes=1))
    assert fresh_desk.ledger.session().value("SELECT sum(duplicates) FROM raw.batch") == 0


def test_two_readers_of_one_position_land_it_once(fresh_desk: Desk, asking: Callable[..., Asking]) -> None:
    """A slice that does not begin where the ledger stands is refused."""
    with exporter(b"") as server:
        one = asking(server)
    record = b'{"sampled_at":"2026-10-15T11:00:00Z","instance":"i","output_tokens":5}'
    one.landing.begin("engine", 10)
    one.landing.land("engine", [record], Span(10, 20), follows=True)
    with pytest.raises(StalePositionError):
        one.landing.land("engine", [record], Span(10, 20), follows=True)

    assert fresh_desk.count("raw.engine_sample") == 1


def test_a_source_asks_until_it_is_told_to_stop(fresh_desk: Desk) -> None:
    """The window under way lands."""
    stop = threading.Event()
    store = Store(NOON - timedelta(minutes=5), NOON)

    def say(asked: Asked) -> Answer:
        stop.set()
        return store(asked)

    with exporter(say) as server:
        settings = PrometheusSource(server=server.url, families=("vllm", "dcgm"), start=NOON - timedelta(minutes=5))
        QueryCollector(
            "q",
            settings,
            ledger=fresh_desk.ledger,
            find_format=fresh_desk.formats.get,
            rules=LIVE,
            clock=fresh_desk.clock,
        ).run(Health("q", "prometheus", fresh_desk.clock), stop)

    assert len(fresh_desk.engines("output_tokens")) == 16


def test_a_selector_asks_for_known_metrics_only() -> None:
    """With the config's matchers beside them; names of OpenTelemetry's are none that a server has."""
    assert selector(frozenset({"b", "a:c", "hw.power"}), 'job="x"') == '{__name__=~"a:c|b",job="x"}'
