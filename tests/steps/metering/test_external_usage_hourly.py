"""metering.external_usage_hourly: which price a request has, and one rounding per line."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from apportion.domain.errors import AuditFailed
from apportion.domain.money import half_even
from apportion.domain.period import Period
from apportion.ledger.connection import Ledger, Session
from apportion.ledger.step import audit
from metering.meter import meter
from metering.steps import AUDITS
from tests.frozen import FrozenClock
from tests.steps.metering.facts import HOUR, KINDS, Event, Facts, at, load, moment
from tests.steps.metering.price_facts import DAY, Fx, Line, Price, reckoned, write
from tests.steps.metering.reading import nothing
from tests.thorough import times

NOON = at("12:00")
MINUTE = HOUR // 60
TERA = 10**12
"""Pico of one dollar."""

LINES = """
SELECT
    epoch_us(charge_period_start), provider, model_id, principal, tier, token_kind::VARCHAR, cause, consumed_tokens,
    effective_cost_nano
FROM metering.charge_hourly JOIN book.model USING (model_no) JOIN raw.caller USING (caller_no)
WHERE cost_kind = 'external'
"""

Priced = Callable[..., dict[Line, tuple[int, int | None]]]


def lines(session: Session) -> dict[Line, tuple[int, int | None]]:
    """Every external line: tokens and nano."""
    return {row[:7]: row[7:] for row in session.rows(LINES)}


def price_them(ledger: Ledger, facts: Facts, prices: Sequence[Price], fx: Sequence[Fx], end: int) -> None:
    """Facts and prices into a ledger, and every hour with usage before an end metered and audited."""
    with ledger.transaction() as session:
        load(session, facts)
        write(session, prices, fx)
    meter(ledger, FrozenClock(moment(end)), settle=nothing)


@pytest.fixture
def priced(ledger: Ledger) -> Priced:
    """Events and prices -> the external lines of the hours around noon, metered and audited."""

    def answer(events: Sequence[Event], *prices: Price, fx: Sequence[Fx] = ()) -> dict[Line, tuple[int, int | None]]:
        price_them(ledger, Facts(events=tuple(events)), prices, fx, NOON + 2 * HOUR)
        return lines(ledger.session())

    return answer


def used(when: int = NOON, *, tier: str = "", principal: str = "k", model: str = "m", **tokens: int) -> Event:
    """Usage of a provider."""
    return Event(at=when, provider="openai", model=model, tier=tier, principal=principal, tokens=tuple(tokens.items()))


def flat(pico: int, **more: object) -> Price:
    """One price for every kind."""
    return Price(pico=tuple((kind, pico) for kind in KINDS), **more)  # type: ignore[arg-type]


def line(kind: str, cause: str = "", tier: str = "", when: int = NOON) -> Line:
    """A line of the events above."""
    return (when, "openai", "m", "k", tier, kind, cause)


def test_each_kind_has_its_own_price(priced: Priced) -> None:
    """A million tokens of each kind cost what the row says, on a line each."""
    kinds = {kind: number * 10**6 for number, kind in enumerate(KINDS, 1)}
    found = priced([used(**dict.fromkeys(KINDS, 10**6))], Price(pico=tuple(kinds.items())))

    assert found == {line(kind): (10**6, pico * 1000) for kind, pico in kinds.items()}


def test_a_line_is_rounded_once_half_to_even(priced: Priced) -> None:
    """Half a nano and half a nano are one, not nothing: 250 pico on one token, 250 on two, 500 on three."""
    ten = [used(output=1) for _ in range(10)]

    assert priced(ten, flat(250)) == {line("output"): (10, 2)}
    assert priced([*ten, *ten[:4]], flat(250)) == {line("output"): (14, 4)}
    assert priced(ten[:1], flat(500)) == {line("output"): (1, 0)}
    assert priced(ten[:3], flat(500)) == {line("output"): (3, 2)}


def test_a_threshold_prices_the_whole_request(priced: Priced) -> None:
    """n prompt tokens cost the base price, n + 1 all of them the higher one; what was read from and written to a cache counts."""
    prices = flat(1000), flat(7000, above=100)
    at_n = used(uncached_input=60, cache_read=30, cache_write=10, output=1000)
    above_n = used(uncached_input=60, cache_read=30, cache_write=11, output=1000)

    assert {key[5]: nano for key, (_, nano) in priced([at_n], *prices).items()} == {
        "uncached_input": 60, "cache_read": 30, "cache_write": 10, "output": 1000,
    }  # fmt: skip
    assert {key[5]: nano for key, (_, nano) in priced([above_n], *prices).items()} == {
        "uncached_input": 420, "cache_read": 210, "cache_write": 77, "output": 7000,
    }  # fmt: skip
    assert priced([at_n, above_n], *prices)[line("output")] == (2000, 8000)


def test_output_alone_has_the_base_price(priced: Priced) -> None:
    """A request without a prompt is above no threshold, and still has a price."""
    assert priced([used(output=1)], flat(1000), flat(7000, above=1)) == {line("output"): (1, 1)}


def test_the_time_of_day_goes_over_midnight(ledger: Ledger) -> None:
    """16:30 to 00:30 holds its start, the last microsecond before its end and midnight itself, and not the end."""
    night = (16 * HOUR + 30 * MINUTE, 30 * MINUTE)
    moments = {
        "before": at("2026-10-01 16:30") - 1, "first": at("2026-10-01 16:30"), "midnight": at("2026-10-02 00:00"),
        "last": at("2026-10-02 00:30") - 1, "after": at("2026-10-02 00:30"),
    }  # fmt: skip
    events = [used(when, principal=name, output=1) for name, when in moments.items()]
    price_them(ledger, Facts(events=tuple(events)), [flat(4000), flat(1000, daily=night)], [], at("2026-10-02 01:00"))

    assert {key[3]: nano for key, (_, nano) in lines(ledger.session()).items()} == {
        "before": 4, "first": 1, "midnight": 1, "last": 1, "after": 4,
    }  # fmt: skip


def test_a_change_within_an_hour_prices_each_event_by_its_time(priced: Priced) -> None:
    """One line, two prices, one rounding."""
    half = NOON + HOUR // 2
    events = [used(half - 1, output=3), used(half, output=5)]

    assert priced(events, flat(1000, end=half), flat(2000, start=half)) == {line("output"): (8, 13)}


def test_a_tier_has_its_own_price_or_none(priced: Priced) -> None:
    """Batch costs half where the list says so; other tiers are lines without a cost, and words for the standard one are it."""
    events = [used(output=2, tier=tier) for tier in ("", "standard", "DEFAULT", "batch", "flex", "On_Demand_Priority")]
    found = priced(events, flat(1000), flat(500, tier="batch"), flat(2000, tier="priority"))

    assert found == {
        line("output"): (2, 2), line("output", tier="standard"): (2, 2), line("output", tier="DEFAULT"): (2, 2),
        line("output", tier="batch"): (2, 1), line("output", "no_tier", "flex"): (2, None),
        line("output", tier="On_Demand_Priority"): (2, 4),
    }  # fmt: skip
    assert priced(events[4:5], flat(1000), flat(3000, tier="*")) == {line("output", tier="flex"): (2, 6)}


def test_a_kind_without_a_price_is_a_line_without_a_cost(priced: Priced) -> None:
    """A missing cache price is not the input's, and the other kinds keep their cost."""
    found = priced([used(uncached_input=3, cache_read=5)], Price(pico=(("uncached_input", 1000),)))

    assert found == {line("uncached_input"): (3, 3), line("cache_read", "no_kind"): (5, None)}


def test_a_price_of_nothing_is_no_missing_price(priced: Priced) -> None:
    """Free is a cost of zero, with a method."""
    assert priced([used(output=9)], flat(0)) == {line("output"): (9, 0)}


def test_an_unpriced_model_is_a_visible_line(priced: Priced) -> None:
    """Nobody's price, another model's, another provider's, or one of another time: no_price, and the tokens are there."""
    assert priced([used(output=9)]) == {line("output", "no_price"): (9, None)}
    others = flat(1, model="n"), flat(1, provider="azure"), flat(1, end=NOON), flat(1, start=NOON + 1)
    assert priced([used(output=9)], *others) == {line("output", "no_price"): (9, None)}


def test_a_price_for_other_prompts_or_times_is_no_missing_price(priced: Priced) -> None:
    """Rows of the model and tier are in force, for longer prompts or another part of the day: no_condition; of other tiers, no_tier."""
    events = [used(uncached_input=10, output=9)]
    longer, later = flat(1, above=10), flat(1, daily=(13 * HOUR, 14 * HOUR))
    unfit = {line("uncached_input", "no_condition"): (10, None), line("output", "no_condition"): (9, None)}

    assert priced(events, longer) == priced(events, later) == priced(events, longer, flat(1, tier="batch")) == unfit
    assert {each[-1] for each in priced(events, flat(1, tier="batch", above=10))} == {"no_tier"}
    assert {each[-1] for each in priced(events, flat(1, above=10, end=NOON))} == {"no_price"}


def test_own_prices_win(priced: Priced, ledger: Ledger) -> None:
    """The lowest rank counts, in every length of prompt; where it is not in force, the next does, and lines say whose it was."""
    catalog = {"rank": 9, "source": "genai-prices", "version": "1.2", "confidence": "modelled"}
    listed = flat(5000, **catalog), flat(9000, above=10, **catalog)
    own = flat(1000, rank=1, end=NOON + HOUR)
    events = [used(uncached_input=20), used(NOON + HOUR, uncached_input=20)]

    assert priced(events, *listed, own) == {
        line("uncached_input"): (20, 20), line("uncached_input", when=NOON + HOUR): (20, 180),
    }  # fmt: skip
    assert ledger.session().rows(
        "SELECT price_evidence, external.confidence, charge.confidence, allocation_method "
        "FROM metering.external_usage_hourly AS external "
        "JOIN metering.charge_hourly AS charge USING (charge_period_start) ORDER BY charge_period_start"
    ) == [("override", "measured", "measured", "price/1"), ("genai-prices 1.2", "modelled", "modelled", "price/1")]


def test_a_line_of_both_is_as_sure_as_the_weaker(priced: Priced, ledger: Ledger) -> None:
    """An own price that begins within the hour: both are named, and the line is modelled."""
    half = NOON + HOUR // 2
    listed = flat(1000, rank=9, source="genai-prices", version="1.2", confidence="modelled")
    priced([used(output=1), used(half, output=1)], listed, flat(3000, start=half))

    assert ledger.session().rows(
        "SELECT effective_cost_nano, price_evidence, confidence FROM metering.external_usage_hourly"
    ) == [(4, "genai-prices 1.2, override", "modelled")]


def test_hundreds_of_sources_name_their_own_lines(priced: Priced, ledger: Ledger) -> None:
    """A contract for each of 200 models: every line names its own, and no other."""
    names = [f"model-{number:03d}" for number in range(200)]
    priced(
        [used(model=name, output=1) for name in names], *(flat(1000, model=name, source=f"of {name}") for name in names)
    )

    assert ledger.session().rows(
        "SELECT model_id, price_evidence FROM metering.external_usage_hourly JOIN book.model USING (model_no) ORDER BY ALL"
    ) == [(name, f"of {name}") for name in names]


def test_another_currency_goes_by_the_rate_of_the_time(priced: Priced, ledger: Ledger) -> None:
    """Euros at 1.25 and, half an hour on, at 1.5; both amounts are kept; without a rate there is a reason instead."""
    half = NOON + HOUR // 2
    rates = [Fx(currency="EUR", nano=1_250_000_000, end=half), Fx(currency="EUR", nano=1_500_000_000, start=half)]
    price = flat(1_000_000, currency="EUR")
    events = [used(output=2), used(half, output=2)]

    assert priced(events, price, fx=rates) == {line("output"): (4, 5500)}
    assert ledger.session().rows("SELECT currency, cost_in_currency_nano FROM metering.external_usage_hourly") == [
        ("EUR", 4000)
    ]
    assert priced(events, price, fx=rates[:1]) == {line("output"): (2, 2500), line("output", "no_fx"): (2, None)}


def test_names_are_patterns_that_know_their_wildcards(ledger: Ledger) -> None:
    """`gpt-4_%` as a pattern of LIKE; an escaped underscore is itself."""
    events = tuple(used(model=name, output=1) for name in ("gpt_4", "gpt-4", "gpt-4-mini"))
    prices = [flat(1000, model=r"gpt\_4"), flat(2000, model="gpt-4%", provider="op%")]
    price_them(ledger, Facts(events=events), prices, [], NOON + HOUR)

    assert {key[2]: nano for key, (_, nano) in lines(ledger.session()).items()} == {
        "gpt_4": 1, "gpt-4": 2, "gpt-4-mini": 2,
    }  # fmt: skip


def test_where_only_our_own_fleet_served_nothing_runs(ledger: Ledger, priced: Priced) -> None:
    """The step is left out, and what an hour had before is gone."""
    priced([used(output=1)], flat(1000))
    with ledger.transaction() as session:
        session.do("DELETE FROM ledger.step_run")
        session.do("UPDATE raw.series SET provider = 'self'")
    meter(ledger, FrozenClock(moment(NOON + HOUR)), settle=nothing, since=moment(NOON), until=moment(NOON + HOUR))
    session = ledger.session()

    assert session.rows("SELECT count(*) FROM metering.external_usage_hourly") == [(0,)]
    assert session.rows("SELECT count(*) FROM ledger.step_run WHERE step = 'metering.external_usage_hourly'") == [(0,)]
    assert session.rows("SELECT DISTINCT cause FROM metering.charge_hourly") == [("unplaced",)]


def test_a_cost_that_is_not_its_price_is_found(ledger: Ledger, priced: Priced) -> None:
    """external_cost_is_its_price: a nano more on a line refuses to commit."""
    priced([used(output=1)], flat(1000))
    (query,) = [query for query in AUDITS if query.name == "external_cost_is_its_price"]
    session, period = ledger.session(), Period(moment(NOON), moment(NOON + HOUR))
    audit(session, [query], period, {})
    session.do("UPDATE metering.charge_hourly SET effective_cost_nano = effective_cost_nano + 1")

    with pytest.raises(AuditFailed, match="external_cost_is_its_price"):
        audit(session, [query], period, {})


START = at("2026-10-01 22:00")
"""Random histories go over midnight."""


def history(seed: int) -> tuple[list[Event], list[Price], list[Fx]]:
    """Random usage, overlapping price rows of every sort, and rates with holes."""
    draw = random.Random(seed)
    times = [START + draw.randrange(4 * HOUR) for _ in range(3)]
    prices = [
        Price(
            model=draw.choice("mn"), tier=draw.choice(["", "", "batch", "*"]), above=draw.choice([0, 0, 50, 100]),
            daily=draw.choice([(0, DAY), (0, DAY), (23 * HOUR, HOUR), (0, HOUR), (90 * MINUTE, DAY)]),
            pico=tuple((kind, draw.choice([0, 1, 250, 500, 1499, 10**9])) for kind in KINDS if draw.random() < 0.9),
            currency=draw.choice(["", "", "EUR"]), rank=draw.choice([1, 2, 9]),
            start=draw.choice([0, *times]), end=times[0] + 4 * HOUR,
        )
        for _ in range(draw.randrange(8))
    ]  # fmt: skip
    fx = [Fx(currency="EUR", nano=1_085_000_001, end=times[1]), Fx(currency="EUR", nano=999_999_999, start=times[2])]
    events = [
        Event(
            at=START + draw.randrange(4 * HOUR), provider=draw.choice(["openai", "openai", "self"]), model=draw.choice("mn"),
            tier=draw.choice(["", "standard", "batch", "flex"]), principal=draw.choice("ab"),
            tokens=tuple((kind, draw.choice([0, 1, 25, 50, 51])) for kind in KINDS),
        )
        for _ in range(draw.randrange(1, 40))
    ]  # fmt: skip
    return events, prices, fx if times[1] <= times[2] else fx[:1]


@settings(max_examples=times(8))
@given(seed=st.integers(0, 2**32))
def test_a_line_is_the_exact_sum_rounded_half_to_even(ledger: Ledger, seed: int) -> None:
    """Any usage, any rows: the same lines as a reckoning in fractions, event by event; and shuffled events change nothing."""
    events, prices, fx = history(seed)
    price_them(ledger, Facts(events=tuple(events)), prices, fx, START + 4 * HOUR)
    found = lines(ledger.session())
    wanted = reckoned(events, prices, fx)
    for cause in {key[6] for key in wanted}:
        event(cause or "priced")

    assert found == {key: (count, None if nano is None else half_even(nano)) for key, (count, nano) in wanted.items()}
    random.Random(seed).shuffle(events)
    price_them(ledger, Facts(events=tuple(events)), prices, fx, START + 4 * HOUR)
    assert lines(ledger.session()) == found
