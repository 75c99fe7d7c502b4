"""What owned hardware costs over its life besides depreciation, and when that life ends."""

from __future__ import annotations

import calendar
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from apportion.domain.period import FOREVER

DIGITS = 50


def financing(capex: int, residual: int, months: int, annual_rate: Decimal) -> int:
    """Cost of capital over the life, of hardware bought with a loan that `months` equal payments and the residual pay back.

    Units: integers of any unit; the rate is a fraction of a year, paid monthly as its twelfth.
    Returns: months x payment, rounded half-even, less the depreciation `capex - residual`; 0 without a rate.
    Source: annuity, payment = (capex - residual / (1+i)^n) x i / (1 - (1+i)^-n), in decimals of 50 digits.
    """
    if not annual_rate:
        return 0
    with localcontext() as context:
        context.prec, context.rounding = DIGITS, ROUND_HALF_EVEN
        rate = context.divide(annual_rate, Decimal(12))
        growth = (1 + rate) ** months
        discounted = context.divide(Decimal(1), growth)
        payment = context.divide((capex - residual * discounted) * rate, 1 - discounted)
        return int((months * payment).to_integral_value()) - (capex - residual)


def months_after(start: datetime, months: int) -> datetime:
    """The same day and time so many calendar months later; the last day of a month that is too short for it.

    What would end later than anything can is `FOREVER`.
    """
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    if year >= FOREVER.year:
        return FOREVER
    last = calendar.monthrange(year, month + 1)[1]
    return start.replace(year=year, month=month + 1, day=min(start.day, last))
