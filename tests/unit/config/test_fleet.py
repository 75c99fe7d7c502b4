"""Rows of the fleet by themselves and together: what contradicts is refused, what will hurt is warned about."""

from __future__ import annotations

import re

import pytest

from tests.unit.config.conftest import Loaded, Problems

OCTOBER, NOVEMBER = "effective_from = 2026-10-01T00:00:00Z", "effective_from = 2026-11-01T00:00:00Z"
UNTIL_NOVEMBER = f"{OCTOBER}\neffective_to = 2026-11-01T00:00:00Z"
UNTIL_DECEMBER = f"{OCTOBER}\neffective_to = 2026-12-01T00:00:00Z"


def pool(name: str = "p", gpus: int = 8, dated: str = OCTOBER) -> str:
    """A `[[pools]]` table."""
    return f'[[pools]]\nid = "{name}"\ngpu = "L4"\ngpus = {gpus}\n{dated}\n'


def rate(name: str = "p", component: str = "accelerator", dated: str = OCTOBER, amount: str = "1") -> str:
    """A `[[rates]]` table."""
    return f'[[rates]]\npool = "{name}"\ncomponent = "{component}"\nper_gpu_hour = "{amount}"\n{dated}\n'


def deployment(name: str = "d", gpus: int = 8, dated: str = OCTOBER, more: str = "", serving: str = "m") -> str:
    """A `[[deployments]]` table of pool p."""
    return f'[[deployments]]\nid = "{name}"\npool = "p"\ngpus = {gpus}\nmodels = ["{serving}"]\n{dated}\n{more}\n'


def shared(more: str, name: str = "s", dated: str = OCTOBER) -> str:
    """A `[[shared_costs]]` table."""
    return f'[[shared_costs]]\nid = "{name}"\nper_month = "10"\n{dated}\n{more}\n'


def entitlement(gpus: int = 4, dated: str = OCTOBER, name: str = "p", team: str = "ads") -> str:
    """An `[[entitlements]]` table."""
    return f'[[entitlements]]\npool = "{name}"\nteam = "{team}"\ngpus = {gpus}\n{dated}\n'


def test_disjoint_ranges_of_one_id_are_a_resize(loaded: Loaded) -> None:
    """A pool may grow at the instant its smaller self ends, and deployments may span the change."""
    config = loaded(pool(dated=UNTIL_NOVEMBER) + pool(gpus=16, dated=NOVEMBER) + rate() + deployment())
    assert [row.gpus for row in config.pools] == [8, 16]
    assert config.warnings == ()


FROM_TO = "in force from 2026-10-01T00:00:00Z to 2026-12-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (pool(dated=UNTIL_DECEMBER) + pool(dated=NOVEMBER), "pools[1]", f"pool 'p' is in force from 2026-11-01T00:00:00Z on, and overlaps apportion.toml:pools[0], {FROM_TO}; set effective_to on the earlier"),
        (pool() + rate(dated=UNTIL_DECEMBER) + rate(dated=NOVEMBER), "rates[1]", f"accelerator rate of pool 'p' is in force from 2026-11-01T00:00:00Z on, and overlaps apportion.toml:rates[0], {FROM_TO}; set effective_to on the earlier; where these are different costs, write their sum, or one of them as another component"),
        (pool() + rate() + deployment(gpus=1, dated=UNTIL_DECEMBER) + deployment(gpus=1, dated=NOVEMBER), "deployments[1]", "deployment 'd' is in force"),
        (shared("") + shared(""), "shared_costs[1]", "shared cost 's' is in force"),
        (pool() + rate() + entitlement() + entitlement(), "entitlements[1]", "entitlement of 'ads' to pool 'p' is in force"),
        (pool() + rate("q"), "rates[0].pool", "unknown pool 'q'; known are p: correct it, or add a [[pools]] table"),
        (deployment(), "deployments[0].pool", "unknown pool 'p'; there are none: correct it"),
        (pool() + entitlement(name="q"), "entitlements[0].pool", "unknown pool 'q'; known are p"),
        (pool() + deployment(gpus=5) + deployment("e", gpus=4, dated=NOVEMBER, serving="n"), "deployments[1].gpus", "9 GPUs of pool 'p' are deployed from 2026-11-01T00:00:00Z on, and 8 are bought; deploy fewer"),
        (pool(dated=NOVEMBER) + deployment(), "deployments[0]", "deployment 'd' is in force from 2026-10-01T00:00:00Z to 2026-11-01T00:00:00Z, when its pool 'p' is not; date it"),
        (pool(dated=UNTIL_NOVEMBER) + pool(gpus=4, dated=NOVEMBER) + deployment(), "deployments[0].gpus", "8 GPUs of pool 'p' are deployed from 2026-11-01T00:00:00Z on, and 4 are bought"),
        (pool(gpus=1_000_000) + rate(amount="10000000"), "pools[0]", "costs more than one row can hold; check per_gpu_hour and gpus"),
        (pool() + rate(component="acelerator"), "rates[0].component", "is 'acelerator'; write one of accelerator, host"),
        (pool() + rate(amount="2,49"), "rates[0].per_gpu_hour", "is '2,49'; write digits and a point"),
        (pool() + deployment(more='utilization = "capacity"'), "deployments[0].capacity_per_gpu_hour", 'is missing, and utilization is "capacity"; add'),
        (pool() + deployment() + '[policy]\nutilization = "capacity"\n', "deployments[0].capacity_per_gpu_hour", "is missing"),
        (pool() + deployment(more='charge_to = "owner"'), "deployments[0].charge_to", 'is "owner", but there is none; add owner = "TEAM"'),
        (pool() + deployment(more='owner = "__idle__"'), "deployments[0].owner", "begins with __"),
        (pool() + deployment(more='role = "decoder"'), "deployments[0].role", "write one of both, prefill, decode"),
        (pool() + deployment(serving='m", "m'), "deployments[0].models", "names m twice; write each once"),
        (pool("__p"), "pools[0].id", "'__p' begins with __"),
        (pool(gpus=0), "pools[0].gpus", "is 0; write an integer from 1 to"),
        (pool() + entitlement(team="__unmapped__"), "entitlements[0].team", "begins with __"),
        (shared('policy = "fixed"'), "shared_costs[0].shares", 'is missing, and policy is "fixed"; add shares'),
        (shared('shares = { ads = "1" }'), "shared_costs[0].shares", 'is only for policy = "fixed", and this is "proportional"; remove it'),
        (shared('policy = "fixed"\nshares = { ads = "0" }'), "shared_costs[0].shares", "add up to nothing; give"),
        (shared('policy = "fixed"\nshares = { __idle__ = "1" }'), "shared_costs[0].shares.__idle__", "is not a team of yours"),
        (shared('policy = "fixed"\nshares = { ads = "-1" }'), "shared_costs[0].shares.ads", "write a finite number of zero or more"),
        (shared("", dated=UNTIL_NOVEMBER) + shared('policy = "even"', dated=NOVEMBER), "shared_costs[1].policy", "has another policy or other shares at apportion.toml:shared_costs[0]; make them equal"),
    ],
)  # fmt: skip
def test_rows_that_contradict_are_refused(text: str, place: str, said: str, problems: Problems) -> None:
    """The one problem names its place, the cause with its dates, and what to do."""
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"apportion.toml:{place}: ")
    assert said in found[0]


def test_one_mistake_is_not_told_twice(problems: Problems) -> None:
    """A pool with a problem of its own is still known to the rows that name it."""
    found = problems(pool(gpus=0) + rate() + deployment())
    assert [problem.split(": ")[0] for problem in found] == ["apportion.toml:pools[0].gpus"]


def test_deployed_gpus_are_counted_at_every_instant(loaded: Loaded) -> None:
    """One deployment may begin at the instant another ends."""
    config = loaded(pool() + rate() + deployment(dated=UNTIL_NOVEMBER) + deployment("e", dated=NOVEMBER))
    assert config.warnings == ()


def test_shares_become_integers(loaded: Loaded) -> None:
    """Decimal shares keep their proportion exactly."""
    config = loaded(shared('policy = "fixed"\nshares = { search = "60.5", ads = 39.5, ops = "0" }'))
    assert config.shared_costs[0].shares == {"search": 605, "ads": 395}


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        (pool() + rate(dated=UNTIL_NOVEMBER), ["pools[0]: pool 'p' has no accelerator rate from 2026-11-01T00:00:00Z on, and hours without one are not metered; add a [[rates]] row"]),
        (pool() + rate(dated=NOVEMBER), ["pools[0]: pool 'p' has no accelerator rate from 2026-10-01T00:00:00Z to 2026-11-01T00:00:00Z"]),
        (pool() + rate(component="host"), ["pools[0]: pool 'p' has no accelerator rate from 2026-10-01T00:00:00Z on"]),
        (pool() + rate() + entitlement(9), ["entitlements[0].gpus: 9 GPUs of pool 'p' are reserved from 2026-10-01T00:00:00Z on, and 8 are bought; reserve fewer"]),
        (pool() + rate() + '[policy]\nidle = "entitlement"\n', ["policy.idle: is entitlement, and there are no [[entitlements]]"]),
        (pool() + rate() + deployment(gpus=4) + deployment("e", gpus=4), ["deployments[1].models: 'm' is served by 'd' and by 'e' from 2026-10-01T00:00:00Z on, so events that name none stay unplaced; tell the two apart by match"]),
        (pool() + rate() + deployment(gpus=4, more='role = "prefill"') + deployment("e", gpus=4, more='role = "decode"'), []),
        (pool() + rate() + deployment(gpus=4, more='role = "prefill"'), ["deployments[0].role: is prefill, and no deployment of role decode or both serves 'm', so events that name none stay unplaced"]),
        (pool() + rate() + deployment(gpus=4, more='role = "decode"'), ["deployments[0].role: is decode, and no deployment of role prefill serves 'm', so that their tokens stay here"]),
        (pool() + rate() + deployment(gpus=2, more='role = "decode"') + deployment("e", gpus=2, more='role = "prefill"') + deployment("f", gpus=2, more='role = "prefill"'), ["deployments[0].role: is decode, and prompts of 'm' are read by several deployments from 2026-10-01T00:00:00Z on, so that their tokens stay here and what the readers cost is unplaced_prefill, which is nobody's; have one"]),
        (pool() + rate() + deployment(gpus=4, more='role = "prefill"') + deployment("e", gpus=4), ["deployments[0].role: is prefill, and only deployments of role both serve 'm' beside it, so no request's prompt counts here unless it names this one; give the one that decodes"]),
        (pool() + rate() + deployment(gpus=4) + deployment("e", gpus=4, more='match = { cluster = "b" }'), ["deployments[1].models: 'm' is served by"]),
        (pool() + rate() + deployment(gpus=4, more='match = { cluster = "a*" }') + deployment("e", gpus=4, more='match = { cluster = "*b" }'), ["deployments[1].models: 'm' is served by", "deployments[1].match: a GPU sample may fit"]),
        (pool() + rate() + deployment(gpus=4, more='match = { replica = "a*" }') + deployment("e", gpus=4, more='match = { replica = "b?" }'), []),
        (pool() + rate() + rate(component="host", dated=UNTIL_NOVEMBER), []),
        (pool() + rate() + rate(component="host", dated=UNTIL_NOVEMBER) + rate(component="host", dated=NOVEMBER.replace("11", "12")), ["pools[0]: pool 'p' has no host rate from 2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z"]),
        (pool() + rate() + deployment(gpus=4, more='match = { node = "n*" }') + deployment("e", gpus=4, more='match = { node = "n1", pod = "p" }', serving="n"), ["deployments[1].match: a GPU sample may fit 'e' and 'd' from 2026-10-01T00:00:00Z on, and counts for neither unless it names one; tell the two apart"]),
        (pool() + rate() + deployment(gpus=4, more='match = { node = "n*", pod = "a*" }') + deployment("e", gpus=4, more='match = { node = "n1", pod = "b*" }', serving="n"), []),
        (pool() + rate() + deployment(gpus=4, more='match = { node = "n*" }') + deployment("e", gpus=4, more='match = { node = "n1" }', serving="n") + '[policy]\nutilization = "allocation"\n', []),
        (pool() + rate() + deployment() + '[[model_aliases]]\nalias = "m"\nmodel = "n"\n', ["deployments[0].models: names 'm', which apportion.toml:model_aliases[0] makes 'n', so no event will find it; list 'n' instead"]),
    ],
)  # fmt: skip
def test_what_will_hurt_is_warned_about(text: str, warnings: list[str], loaded: Loaded) -> None:
    """A config that works but hardly as meant loads, and says what to look at."""
    found = loaded(text).warnings
    assert len(found) == len(warnings), found
    for sentence, expected in zip(found, warnings, strict=True):
        assert sentence.startswith(f"apportion.toml:{expected}")


@pytest.mark.parametrize(
    ("aliases", "said"),
    [
        ([("a", "m", OCTOBER), ("a", "n", NOVEMBER)], r"model_aliases\[1\]: alias 'a' stands for 'n' .* and at apportion.toml:model_aliases\[0\] for 'm'.*; set effective_to"),
        ([("a", "b", ""), ("b", "m", "")], r"model_aliases\[0\].model: 'b' is an alias itself, of 'm' .*; write model = \"m\""),
        ([("a", "a", "")], r"model_aliases\[0\].model: is the alias itself; name the model"),
    ],
)  # fmt: skip
def test_aliases_lead_to_one_model_at_a_time(
    aliases: list[tuple[str, str, str]], said: str, problems: Problems
) -> None:
    """Aliases are followed once, so chains, loops and overlaps are refused."""
    text = "".join(
        f'[[model_aliases]]\nalias = "{alias}"\nmodel = "{model}"\n{dated}\n' for alias, model, dated in aliases
    )
    found = problems(text)
    assert re.search(said, found[0]), found


def test_an_alias_may_change_its_model(loaded: Loaded) -> None:
    """Disjoint ranges of one alias are fine."""
    text = f'[[model_aliases]]\nalias = "a"\nmodel = "m"\n{UNTIL_NOVEMBER}\n[[model_aliases]]\nalias = "a"\nmodel = "n"\n{NOVEMBER}\n'
    assert [alias.model for alias in loaded(text).model_aliases] == ["m", "n"]
