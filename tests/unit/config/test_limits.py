"""Large fleets get short answers: one line for what many rows have in common, and work that does not grow with their square."""

from __future__ import annotations

from apportion.config.globs import pairs, share_a_text
from apportion.config.limits import bounded
from tests.unit.config.conftest import Loaded, Problems

OCTOBER = "effective_from = 2026-10-01T00:00:00Z\n"
POOL = f'[[pools]]\nid = "p"\ngpu = "L4"\ngpus = 1000\n{OCTOBER}'
RATE = f'[[rates]]\npool = "p"\ncomponent = "accelerator"\nper_gpu_hour = "1"\n{OCTOBER}'


def deployments(count: int, more: str = "", model: str = "m") -> str:
    """Deployments d0, d1 and so on of pool p; `{n}` in `more` and `model` is the number."""
    rows = (
        f'[[deployments]]\nid = "d{n}"\npool = "p"\ngpus = 1\nmodels = ["{model}"]\n{OCTOBER}{more}\n'.replace(
            "{n}", str(n)
        )
        for n in range(count)
    )
    return "".join(rows)


def test_many_deployments_of_one_model_are_one_warning(loaded: Loaded) -> None:
    """300 deployments that nothing tells apart are one sentence with their number, and not one for each of 44,850 pairs."""
    (said,) = loaded(POOL + RATE + deployments(300)).warnings
    assert said.startswith(
        "apportion.toml:deployments[1].models: 'm' is served by 'd0', 'd1', 'd2' and 297 more, several of them at once"
    )


def test_only_the_deployments_that_compete_are_counted(loaded: Loaded) -> None:
    """Those that a match tells apart are not named beside the three that it does not."""
    told_apart = deployments(20, 'match = { namespace = "ns-{n}-*" }')
    further = deployments(3, 'match = { namespace = "ns-7-*" }').replace('"d', '"e')
    said, *_ = loaded(POOL + RATE + told_apart + further).warnings
    assert "'m' is served by 'd7', 'e0', 'e1' and 1 more, several" in said


def test_samples_that_several_claim_are_one_warning_each(loaded: Loaded) -> None:
    """A deployment that shares its pods with a hundred others is told of one of them."""
    found = loaded(POOL + RATE + deployments(100, 'match = { pod = "*" }', model="m{n}")).warnings
    assert len(found) == 99
    assert all("a GPU sample may fit" in said for said in found)


def test_names_that_begin_differently_are_not_compared() -> None:
    """Of a thousand globs, only those that may begin alike are pairs; every pair that shares a text is among them."""
    globs = [f"ns-{n}-*" for n in range(1000)] + ["ns-7-a*"]
    assert list(pairs(globs)) == [(7, 1000)]
    mixed = ["*-a", "b*", "ba?", "", "c", "*", "b", "ba"]
    every = {(x, y) for y in range(8) for x in range(y) if share_a_text(mixed[x], mixed[y])}
    assert every <= set(pairs(mixed))


def test_errors_of_one_kind_are_told_fifty_times(problems: Problems) -> None:
    """A thousand rates of pools that are not there are fifty lines and how many more there are; other errors stay."""
    rates = "".join(RATE.replace('"p"', f'"q{n}"') for n in range(1000))
    found = problems(POOL + rates + '[policy]\nidle = "some"\n')
    assert len(found) == 52
    assert "apportion.toml:rates.pool: 950 more like the last one" in found
    assert any("policy.idle" in said for said in found)


def test_an_own_price_written_often_is_one_error_each(problems: Problems) -> None:
    """A price row that stands a hundred times is ninety-nine errors, and not one for each pair."""
    found = problems('[[prices.overrides]]\nprovider = "o"\nmodel = "m"\ninput = "1"\n' * 100)
    assert len(found) == 51
    assert found[-1] == "apportion.toml:prices.overrides: 49 more like the last one"


def test_sentences_are_alike_but_for_names_numbers_and_times() -> None:
    """What differs in its words, or stands at another key, is of another kind."""
    said = [
        "a.toml:pools[0].gpu: 'X1' is unknown since 2026-10-01T00:00:00Z",
        "a.toml:pools[17].gpu: 'Y' is unknown since 2027-10-01T00:00:00Z",
        "a.toml:pools[17].id: 'Y' is unknown since 2027-10-01T00:00:00Z",
        "rates.csv:17: is odd",
        "rates.csv:18: is odd",
        "rates.csv:19: is odd",
    ]
    assert bounded(said, 1) == [
        said[0], "a.toml:pools.gpu: 1 more like the last one", said[2], said[3], "rates.csv: 2 more like the last one",
    ]  # fmt: skip
    assert bounded(said, 3) == said
