"""What a GPU-hour costs whoever owns, reserves or borrows the GPU: planning figures in units of money, exact until printed.

The ledger's own charges are integers of `metering.origin_charge_hourly`; these say what such an hour will cost, and whether
another way of buying pays. Source: straight line and annuity as in accounting; reservation and spot as break-even of expected cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from metering.efficiency.exact import Exact, decay, ratio

HOURS_PER_YEAR = 8760
HOURS_PER_MONTH = 730


def straight_line(capex: Exact, residual: Exact, gpus: int, years: Exact) -> Fraction:
    """Depreciation of one GPU-hour: what is lost of the price, over all hours of the life."""
    return ratio(capex - residual, gpus * years * HOURS_PER_YEAR)


def annuity(capex: Exact, residual: Exact, gpus: int, years: int, annual_rate: Exact) -> Fraction:
    """Depreciation and interest of one GPU-hour in equal yearly payments; the residual is paid back at the end."""
    if annual_rate == 0:
        return straight_line(capex, residual, gpus, years)
    discount = decay(1 + Fraction(annual_rate), years)
    yearly = (capex - residual * discount) * ratio(annual_rate, 1 - discount)
    return ratio(yearly, gpus * HOURS_PER_YEAR)


def maintenance(capex: Exact, part_per_year: Exact, gpus: int) -> Fraction:
    """Of one GPU-hour: a part of the price for each year, not once for the whole life."""
    return ratio(capex * part_per_year, gpus * HOURS_PER_YEAR)


def electricity(kilowatts: Exact, gpus: int, pue: Exact, per_kwh: Exact) -> Fraction:
    """Of one GPU-hour: the node's mean power, times PUE, at a tariff."""
    return ratio(kilowatts * pue * per_kwh, gpus)


def colocation(per_kilowatt_month: Exact, kilowatts: Exact, gpus: int) -> Fraction:
    """Of one GPU-hour, where space is paid by reserved power."""
    return ratio(per_kilowatt_month * kilowatts, gpus * HOURS_PER_MONTH)


def productive(per_hour: Exact, utilization: Exact) -> Fraction:
    """What an hour that was used costs, of all hours paid. Either this or wall-clock throughput: both would count idle twice."""
    return ratio(per_hour, utilization)


def reservation_break_even(reserved_per_hour: Exact, on_demand_per_hour: Exact) -> Fraction:
    """The part of its term that a reservation must be used for to cost no more than on demand."""
    return ratio(reserved_per_hour, on_demand_per_hour)


def reserved_effective(reserved_per_hour: Exact, used: Exact) -> Fraction:
    """What a used hour of a reservation costs, at the part of it that is used."""
    return ratio(reserved_per_hour, used)


def unused_commitment(reserved_per_hour: Exact, used: Exact) -> Exact:
    """What an hour of a reservation costs for nothing: a line of its own, never hidden in the used hours."""
    return reserved_per_hour * (1 - used)


def spot_effective(per_hour: Exact, lost_hours: Exact, between_interruptions_hours: Exact, restart: Exact = 0) -> Exact:
    """What a useful spot hour costs: each interruption loses hours of work, and has a restart that is paid per hour used."""
    return per_hour * (1 + ratio(lost_hours, between_interruptions_hours)) + restart


def blended(parts: Mapping[str, tuple[Exact, Exact]]) -> Fraction:
    """Mean price of GPU-hours bought in several ways, each (hours, price)."""
    hours = sum((Fraction(bought) for bought, _ in parts.values()), Fraction(0))
    paid = sum((Fraction(bought) * price for bought, price in parts.values()), Fraction(0))
    return ratio(paid, hours)
