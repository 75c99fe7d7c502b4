"""metering.series_place: which deployment takes the usage of a series, as metering.placed_usage_hourly shows it hour by hour."""

from __future__ import annotations

from tests.steps.metering.facts import Alias, Deployment, Event, Facts, Pool, at

STEP = "metering.placed_usage_hourly"
QUERY = """
SELECT epoch_us(charge_period_start), pool_id, deployment_id, usage.provider, model_id, principal, tier, output_tokens, requests
FROM metering.placed_usage_hourly AS usage
JOIN book.pool_key USING (pool_no) JOIN book.deployment_key USING (deployment_no) JOIN book.model USING (model_no)
JOIN raw.caller USING (caller_no) ORDER BY ALL
"""


def used(moment: str = "01:10", tokens: int = 1, **dimensions: str) -> Event:
    """Some output tokens."""
    return Event(at=at(moment), tokens=(("output", tokens),), **dimensions)


def places(found: list[tuple[object, ...]]) -> dict[object, object]:
    """Deployment by principal."""
    return {row[5]: row[2] for row in found}


def test_a_name_that_is_in_force_decides(stepped) -> None:
    """Even for a model that the deployment does not serve; a name that is not in force that hour decides nothing."""
    deployments = (
        Deployment(id="a", models=("m",)),
        Deployment(id="b", models=("n",)),
        Deployment(id="late", end=at("01:00")),
    )
    events = (
        used(principal="named", deployment="b"),
        used(principal="gone", deployment="late"),
        used(principal="unknown", deployment="x"),
    )
    found = stepped(Facts(deployments=deployments, events=events), STEP, at("01:00"), at("02:00"), QUERY)

    assert places(found) == {"named": "b", "gone": "a", "unknown": "a"}


def test_patterns_choose_among_those_that_serve_the_model(stepped) -> None:
    """All patterns must fit; a fit of a deployment that does not serve the model counts for nothing; two fits settle nothing."""
    deployments = (
        Deployment(id="east", match=(("cluster", "east%"),)), Deployment(id="west", match=(("cluster", "west%"), ("namespace", "blue"))),
        Deployment(id="other", models=("n",), match=(("cluster", "%"),)), Deployment(id="wide", match=(("cluster", "eastern"),)),
    )  # fmt: skip
    events = (
        used(principal="a", cluster="east-1"), used(principal="b", cluster="west-1", namespace="blue"), used(principal="c", cluster="west-1"),
        used(principal="d", cluster="eastern"), used(principal="e"),
    )  # fmt: skip
    found = stepped(Facts(deployments=deployments, events=events), STEP, at("01:00"), at("02:00"), QUERY)

    assert places(found) == {"a": "east", "b": "west", "c": "", "d": "", "e": ""}


def test_the_only_deployment_of_a_model_takes_what_says_nothing(stepped) -> None:
    """Also what fits none of its patterns; a model that nobody serves is unplaced, in no pool."""
    deployments = (Deployment(id="a", match=(("replica", "r%"),)), Deployment(id="b", models=("n",)))
    events = (used(principal="x", replica="other"), used(principal="y", model="nowhere"))
    found = stepped(Facts(deployments=deployments, events=events), STEP, at("01:00"), at("02:00"), QUERY)

    assert sorted((row[5], row[1], row[2]) for row in found) == [("x", "p", "a"), ("y", "", "")]


def test_a_deployment_takes_every_hour_that_it_touches(stepped) -> None:
    """The hours of its first and of its last microsecond are its own, whole; the hours beside them are not."""
    deployments = (Deployment(start=at("02:59") + 59_999_999, end=at("04:00") + 1),)
    events = tuple(used(f"0{hour}:10") for hour in range(1, 7))
    found = stepped(Facts(deployments=deployments, events=events), STEP, at("01:00"), at("07:00"), QUERY)

    assert [(row[0], row[2]) for row in found] == [
        (at("01:00"), ""), (at("02:00"), "d"), (at("03:00"), "d"), (at("04:00"), "d"), (at("05:00"), ""), (at("06:00"), ""),
    ]  # fmt: skip


def test_a_handover_within_an_hour_is_ambiguous_in_that_hour_only(stepped) -> None:
    """Two deployments touch the hour, so an event that names neither is unplaced in it; a resize is one deployment still."""
    deployments = (
        Deployment(id="a", end=at("02:30")), Deployment(id="b", start=at("02:30"), end=at("04:20")), Deployment(id="b", start=at("04:20"), gpus=2),
    )  # fmt: skip
    events = tuple(used(f"0{hour}:40") for hour in range(1, 6))
    found = stepped(Facts(deployments=deployments, events=events), STEP, at("01:00"), at("06:00"), QUERY)

    assert [row[2] for row in found] == ["a", "", "b", "b", "b"]


def test_aliases_count_at_the_start_of_the_hour(stepped) -> None:
    """A name that begins to mean something else within an hour does so in the next one."""
    aliases = (
        Alias(alias="chat", model="m", end=at("02:30")),
        Alias(alias="chat", model="n", start=at("02:30"), end=at("04:00")),
    )
    facts = Facts(
        deployments=(Deployment(models=("m", "n")),),
        aliases=aliases,
        events=tuple(used(f"0{h}:50", model="chat") for h in range(1, 5)),
    )
    found = stepped(facts, STEP, at("01:00"), at("05:00"), QUERY)

    assert [(row[4], row[2]) for row in found] == [("m", "d"), ("m", "d"), ("n", "d"), ("chat", "")]


def test_a_lora_adapter_runs_where_its_base_does_for_as_long_as_the_alias_says(stepped) -> None:
    """Requests name the adapter, deployments their base model; before and after the alias's dates it is a model of its own."""
    aliases = (Alias(alias="search-lora", model="m", start=at("02:00"), end=at("04:00")),)
    events = tuple(used(f"0{h}:50", model="search-lora") for h in range(1, 5))
    facts = Facts(deployments=(Deployment(models=("m",)),), aliases=aliases, events=events)
    found = stepped(facts, STEP, at("01:00"), at("05:00"), QUERY)

    assert [(row[4], row[2]) for row in found] == [("search-lora", ""), ("m", "d"), ("m", "d"), ("search-lora", "")]


def test_external_usage_runs_nowhere(stepped) -> None:
    """Whatever it names."""
    facts = Facts(deployments=(Deployment(),), events=(used(provider="openai", deployment="d"),))
    found = stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)

    assert [row[1:4] for row in found] == [("", "", "openai")]


def test_a_deployment_that_changes_pool_is_in_the_pool_the_hour_begins_with(stepped) -> None:
    """The hours before, of and after the change."""
    deployments = (Deployment(pool="p", end=at("02:30")), Deployment(pool="q", start=at("02:30")))
    pools = (Pool(id="p"), Pool(id="q"))
    facts = Facts(pools=pools, deployments=deployments, events=tuple(used(f"0{h}:40") for h in range(1, 4)))
    found = stepped(facts, STEP, at("01:00"), at("04:00"), QUERY)

    assert [row[1] for row in found] == ["p", "p", "q"]


def test_a_series_has_a_row_for_every_change_of_its_place(stepped) -> None:
    """And none for a change that leaves it where it was, such as a resize; together they cover the window once."""
    deployments = (
        Deployment(id="a", end=at("03:00")), Deployment(id="a", gpus=2, start=at("03:00")), Deployment(id="b", models=("n",), start=at("02:30"), end=at("04:00")),
    )  # fmt: skip
    events = (used(principal="m"), used(principal="n", model="n"))
    query = """
SELECT principal, hour(effective_from), hour(effective_to), deployment_id FROM metering.series_place
JOIN book.deployment_key USING (deployment_no) JOIN raw.caller USING (caller_no) ORDER BY ALL"""
    found = stepped(
        Facts(deployments=deployments, events=events), "metering.series_place", at("01:00"), at("06:00"), query
    )

    assert found == [("m", 1, 6, "a"), ("n", 1, 2, ""), ("n", 2, 4, "b"), ("n", 4, 6, "")]
