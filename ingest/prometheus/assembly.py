"""The values of one scrape become records: an engine's counters are one record, a device's gauges are one sample.

Series of one engine that make one canonical counter (by reason, by source, by a tenant's label) are added up within a scrape: they
begin and reset together. Nothing is added up over engines, models or processes, and nothing is subtracted here.

A value that is no number, negative or out of bounds is unknown, and so is every sum it would be in: a sum without one of its parts
would look like a counter that began again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

from ingest.gpu_samples import GpuReading, Samples, line
from ingest.instants import instant
from ingest.prometheus.families import DEVICE, EXTERNAL, METRICS, NO_FIELDS, UNCACHED
from ingest.prometheus.series import EngineSeries, GpuSeries, Owner, Series

_COUNTS: Final = frozenset(
    {
        *NO_FIELDS,
        "prompt_tokens",
        "cache_read_tokens",
        "cache_read_host_tokens",
        "cache_read_storage_tokens",
        "output_tokens",
        "requests",
        "aborted_requests",
        "requests_running",
        "requests_waiting",
    }
)
_WORK: Final = frozenset({"estimated_flops", "estimated_bytes"})
_FIELDS: Final = tuple(
    dict.fromkeys(
        part.field for _, parts in METRICS.values() for part in parts if part.field not in {"started_at", *NO_FIELDS}
    )
)
_COUNT_MAX: Final = Decimal(2**31 - 1)
_MOST: Final = Decimal(10**15)
_MOST_SECONDS: Final = Decimal(10**11)
_MOST_WORK: Final = Decimal(10**27)
_BOUNDS: Final = {
    "kv_cache_ratio": Decimal(1),
    **dict.fromkeys(("requests_running", "requests_waiting"), _COUNT_MAX),
    **dict.fromkeys(("prefill_seconds", "decode_seconds", "idle_seconds"), _MOST_SECONDS),
    **dict.fromkeys(_WORK, _MOST_WORK),
}
"""What landing believes at most; a whole record would be rejected for one reading beyond it."""
_DIGITS_MAX: Final = 64
_EXPONENT_MAX: Final = 36
"""Beyond it nothing of a fleet is counted, and a number written out digit by digit would fill the memory."""
_NO_NUMBER: Final = Decimal("NaN")
_SECOND_NS: Final = 1_000_000_000

Found = dict[tuple[str, int], Decimal | None]
"""(field, rank) -> its sum so far; None once a part of it is unknown."""


REASONS: Final = {
    "no_number": "they are no numbers",
    "negative": "they are negative",
    "out_of_range": "they are beyond what a fleet counts",
    "same_series": "their series stand on the page before",
    "same_identity": "others are of the same instance, engine, model and time",
    "second_scrape": "somebody else scrapes the same instance, engine and model, and clocks that differ would make its counters go "
    "back and forth; where they are different processes, write labels.instance, the label that tells them apart",
}
"""Why readings are left out, in words."""


class Assembly:
    """Records in the making.

    Attributes:
        ignored: reason -> readings that were left out.
    """

    def __init__(self, kind: Literal["", "gpu", "engine"] = "") -> None:
        """Records of both kinds, unless one of them is asked for."""
        self._kind = kind
        self.ignored: Counter[str] = Counter()
        self._gpus = Samples()
        self._engines: dict[tuple[Owner, int], list[tuple[EngineSeries, Decimal | None]]] = {}
        self._starts: dict[tuple[tuple[str, ...], int], Decimal] = {}

    def add(self, series: Series, at_ns: int, written: str) -> None:
        """Take a value in.

        Args:
            series: what it is of.
            at_ns: when it was read, since 1970.
            written: the number.
        """
        if self._kind and (self._kind == "gpu") != isinstance(series, GpuSeries):
            return
        value = self._number(written)
        if isinstance(series, EngineSeries):
            self._engines.setdefault((series.owner, at_ns), []).append((series, value))
        elif value is None:
            return
        elif isinstance(series, GpuSeries):
            amount = value * series.factor
            self._gpus.add(GpuReading(series.device, series.place, series.metric, at_ns, amount, series.share))
        else:
            self._starts[series.target, at_ns] = value

    def gpu_lines(self) -> list[bytes]:
        """GPU samples as canonical JSON."""
        return [made for made, _ in self._gpus.lines()]

    def engine_lines(self) -> list[bytes]:
        """Engine samples as canonical JSON; of several with one identity the first."""
        believed: dict[tuple[str, str, str], tuple[str, ...]] = {}
        for owner, _ in self._engines:
            name = (owner.instance, owner.engine, owner.model)
            believed[name] = min(believed.get(name, owner.target), owner.target)
        made: dict[tuple[str, str, str, int], bytes] = {}
        for (owner, at_ns), values in self._engines.items():
            if believed[owner.instance, owner.engine, owner.model] != owner.target:
                self.ignored["second_scrape"] += len(values)
                continue
            found = self._fields(values)
            if not any(field in found for field in _FIELDS):
                continue
            identity = (owner.instance, owner.engine, owner.model, at_ns)
            if identity in made:
                self.ignored["same_identity"] += len(values)
                continue
            start = found.pop("started_at", None) or (
                self._starts.get((owner.target, at_ns)) if owner.kind.own_process else None
            )
            made[identity] = line(
                {
                    "sampled_at": instant(at_ns),
                    "instance": owner.instance,
                    "engine": owner.engine,
                    "model": owner.model,
                    "software": owner.kind.software,
                    **_place([series for series, _ in values]),
                    "started_at": _started(start, at_ns),
                    **found,
                }
            )
        return list(made.values())

    def _fields(self, values: Iterable[tuple[EngineSeries, Decimal | None]]) -> dict[str, Decimal]:
        """The fields that the values of one engine add up to."""
        values = list(values)
        first = min((series.ranks for series, _ in values if series.ranks is not None), default=None)
        sums: Found = {}
        for series, value in values:
            if series.ranks is None or series.ranks == first:
                for part in series.parts:
                    _into(sums, part.field, part.rank, value)
        found: dict[str, Decimal] = {}
        for (field, _), value in sorted(sums.items(), key=lambda entry: entry[0][1], reverse=True):
            found.pop(field, None)  # of a rank that gives way
            if value is None:
                continue
            if value > _BOUNDS.get(field, _MOST):
                self.ignored["out_of_range"] += 1
                continue
            found[field] = value.to_integral_value() if field in _COUNTS | _WORK else value
        if UNCACHED in found and "cache_read_tokens" in found:
            found["prompt_tokens"] = found[UNCACHED] + found["cache_read_tokens"]
        if EXTERNAL in found and not found.keys() & {DEVICE, "cache_read_host_tokens", "cache_read_storage_tokens"}:
            found["cache_read_storage_tokens"] = found[EXTERNAL]
        return {field: found[field] for field in ("started_at", *_FIELDS) if field in found}

    def _number(self, written: str) -> Decimal | None:
        try:
            value = Decimal(written) if len(written) <= _DIGITS_MAX else _NO_NUMBER
        except InvalidOperation:
            value = _NO_NUMBER
        if not value.is_finite():
            self.ignored["no_number"] += 1
        elif value and abs(value.adjusted()) > _EXPONENT_MAX:
            self.ignored["out_of_range"] += 1
        elif value < 0:
            self.ignored["negative"] += 1
        else:
            return value
        return None


def _into(sums: Found, field: str, rank: int, value: Decimal | None) -> None:
    held = sums.get((field, rank), Decimal(0))
    if field == "started_at":
        times = [time for time in (sums.get((field, rank)), value) if time]
        sums[field, rank] = min(times, default=None)
    else:
        sums[field, rank] = None if held is None or value is None else held + value


def _place(series: list[EngineSeries]) -> dict[str, str]:
    """Where all series of an engine say that it is; in what they differ (a tenant's label, by the name of one) is left out."""
    places = {one.place for one in series}
    return dict(sorted(frozenset.intersection(*places)))


def _started(seconds: Decimal | None, at_ns: int) -> str | None:
    """When a counter began; a clock that runs ahead of ours does not tell."""
    if seconds is None or not 0 < seconds * _SECOND_NS <= at_ns:
        return None
    return instant(int(seconds * _SECOND_NS))
