"""Which hours wait since something is not priced: covered GPUs need no rate, prices in another currency need its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from apportion.ledger.connection import Ledger
from metering.gaps import gaps
from tests.steps.metering import spending
from tests.steps.metering.facts import HOUR, at, moment
from tests.steps.metering.spending import FROM, fx, pool, rate

UNTIL_TWO = f"{FROM}effective_to = 2026-10-01T02:30:00Z\n"
FROM_TWO = "effective_from = 2026-10-01T02:30:00Z\n"
EUR = 'per_gpu_hour = "3"\ncurrency = "EUR"'


def reserved(gpus: int, dated: str = UNTIL_TWO, more: str = "") -> str:
    """A reservation for pool p."""
    dated += "" if "effective_to" in dated else "effective_to = 2027-01-01T00:00:00Z\n"
    price = more or 'upfront = "0"\n'
    return f'[[commitments]]\nid = "r"\nkind = "reserved"\npools = ["p"]\ngpus = {gpus}\n{price}{dated}'


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        (pool() + reserved(4), dict.fromkeys((2, 3), "pool p has no accelerator rate from 2026-10-01T02:30:00Z on")),
        (pool() + reserved(3), dict.fromkeys(range(4), "pool p has no accelerator rate from 2026-01-01T00:00:00Z on")),
        (pool() + reserved(4) + rate(dated=FROM_TWO), {}),
        (pool() + reserved(2) + '[[assets]]\nid = "a"\npool = "p"\ngpus = 2\ncapex = "1"\nlife_months = 1\n' + FROM, dict.fromkeys((2, 3), "pool p has no accelerator rate from 2026-10-01T02:30:00Z on")),
        (pool() + rate(EUR) + fx("1.1", UNTIL_TWO), dict.fromkeys((2, 3), "pool p pays in EUR, which has no exchange rate from 2026-10-01T02:30:00Z on; add a [[fx]] row")),
        (pool() + rate() + reserved(1, FROM, 'per_gpu_hour = "1"\ncurrency = "EUR"\n') + fx("1.1", UNTIL_TWO), dict.fromkeys((2, 3), "commitment r pays in EUR, which has no exchange rate from 2026-10-01T02:30:00Z to 2027-01-01T00:00:00Z")),
        (pool() + rate() + reserved(1, FROM, 'upfront = "1"\ncurrency = "EUR"\n') + fx("1.1", UNTIL_TWO), {}),
    ],
)  # fmt: skip
def test_what_is_not_priced_waits(text: str, reasons: dict[int, str], ledger: Ledger, tmp_path: Path) -> None:
    """Only the hours of the hole, each with what it lacks and from when."""
    session = spending.booked(ledger, spending.configured(tmp_path, text))
    found = gaps(session, [moment(at("00:00") + hour * HOUR) for hour in range(4)])

    assert [(time - moment(at("00:00"))).total_seconds() // 3600 for time in found] == list(reasons)
    assert all(said.startswith(reasons[hour]) for said, hour in zip(found.values(), reasons, strict=True)), found
