"""A random way to buy two pools of GPUs, as a config, with its edges at odd times around a new year."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from tests.steps.metering.facts import HOUR, at, moment
from tests.steps.metering.spending import fx, pool, rate

START = at("2026-12-31 22:00")
END = START + 4 * HOUR
COMPONENTS = ("host", "energy", "licence")


def purchases(seed: int) -> str:
    """Tables of a config whose every hour between START and END can be priced."""
    r = Random(seed)
    text = "".join(pool(name, r.randint(1, 5), dated) for name in "pq" for dated in _tiles(r, 2))
    text += "".join(
        fx(f"{r.choice([0, 1, r.randint(1, 100)])}.{r.randint(1, 10**9 - 1):09d}", dated) for dated in _tiles(r, 3)
    )
    for name in "pq":
        currency = r.choice(["", "", 'currency = "EUR"\n', 'currency = "USD"\n'])
        for component in ("accelerator", *r.sample(COMPONENTS, r.randrange(3))):
            units = ["gpu_hour", "gpu_hour", "gpu_second"] + (["month", "year"] if component != "accelerator" else [])
            for dated in _tiles(r, 3):
                listed = r.choice(["", f'list = "{_amount(r)}"\n'])
                text += rate(f'per_{r.choice(units)} = "{_amount(r)}"\n{listed}{currency}', name, component, dated)
    text += "".join(
        f'[[discounts]]\npools = ["p", "q"]\ncomponents = ["accelerator", "host"]\npercent = "{r.randint(0, 10**8) // 10**6}.{r.randrange(10**6):06d}"\n{dated}'
        for dated in r.sample(_tiles(r, 4), 1) * r.randrange(2)
    )
    text += "".join(_reserved(r, number) for number in range(r.randrange(3)))
    text += "".join(_savings(r, number, dated) for number, dated in enumerate(_terms(r) if r.random() < 0.6 else []))
    text += "".join(_asset(r, number) for number in range(r.randrange(3)))
    return text + "".join(
        f'[[credits]]\nid = "c{number}"\npools = {_pools(r)}\namount = "{_amount(r)}"\n{_term(r)}'
        for number in range(r.randrange(3))
    )


def _reserved(r: Random, number: int) -> str:
    return (
        f'[[commitments]]\nid = "r{number}"\nkind = "reserved"\npools = {_pools(r)}\ngpus = {r.randint(1, 8)}\nupfront = "{_amount(r)}"\n'
        f'per_gpu_hour = "{_amount(r)}"\n{_currency(r)}{_term(r)}'
    )


def _savings(r: Random, number: int, dated: str) -> str:
    prices = [max(1, r.randint(1, 10 ** r.randint(1, 10))) for _ in "pq"]
    p, q = (f"{price // 10**9}.{price % 10**9:09d}" for price in prices)
    promised = r.choice([0, r.randrange(10**6, 10**12)])  # a plan of a few nano pays for less than a microsecond
    recurring = r.randrange(promised + 1)
    upfront = (promised - recurring) * 4 + r.randrange(10)
    prepaid = (
        f'upfront = "{_text(upfront)}"\nrecurring_per_hour = "{_text(recurring)}"\n'
        if promised and r.random() < 0.5
        else ""
    )
    return (
        f'[[commitments]]\nid = "s{number}"\nkind = "savings"\npools = {r.sample(["p", "q"], 2)}\n{prepaid}'
        f'per_hour = "{_text(promised)}"\nrates = {{ p = "{p}", q = "{q}" }}\n{_currency(r)}{dated}'
    )


def _asset(r: Random, number: int) -> str:
    method = r.choice(["", 'method = "annuity"\nannual_rate = "0.0725"\n'])
    upkeep = r.choice(["", f'maintenance_per_year = "{_amount(r)}"\ncolocation_per_month = "{_amount(r)}"\n'])
    return (
        f'[[assets]]\nid = "a{number}"\npool = "{r.choice("pq")}"\ngpus = {r.randint(1, 4)}\ncapex = "{r.randint(10, 10**6)}.000000007"\n'
        f'residual = "{r.randint(0, 10)}"\nlife_months = {r.randint(1, 40)}\n{method}{upkeep}{_currency(r)}{r.choice([_term(r), _tiles(r, 1)[0]])}'
    )


def _amount(r: Random) -> str:
    nano = r.choice([0, r.randrange(10), r.randrange(10**10), r.randrange(10**12)])
    return _text(nano)


def _text(nano: int) -> str:
    return f"{nano // 10**9}.{nano % 10**9:09d}"


def _currency(r: Random) -> str:
    return r.choice(["", 'currency = "EUR"\n'])


def _pools(r: Random) -> str:
    return str(r.sample(["p", "q"], r.randint(1, 2)))


def _term(r: Random) -> str:
    begins = _instant(r)
    return _dated(begins, begins + r.choice([1, 60_000_000, r.randrange(1, 3 * HOUR)]))


def _terms(r: Random) -> list[str]:
    """One term, or two that adjoin."""
    edges = sorted({START - HOUR, _instant(r), _instant(r)})
    return [_dated(begins, ends) for begins, ends in pairwise(edges)]


def _tiles(r: Random, most: int) -> list[str]:
    """Adjoining ranges that reach beyond the window on both sides."""
    edges = [START - 4 * HOUR, *sorted({_instant(r) for _ in range(r.randrange(most))}), END + 4 * HOUR]
    return [_dated(begins, ends) for begins, ends in pairwise(edges)]


def _dated(begins: int, ends: int) -> str:
    first, last = (moment(us).isoformat() for us in (begins, ends))
    return f"effective_from = {first}\neffective_to = {last}\n"


def _instant(r: Random) -> int:
    step = r.choice([HOUR, 60_000_000, 1])
    return START + r.randrange(1, (END - START) // step) * step
