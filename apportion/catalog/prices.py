"""Public prices of GPU time: what sellers list, with where, when and how sure that is. USD, never a contract of yours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Final

from apportion.catalog.packaged import CONFIDENCES, Row, choice_cell, items, text_cell, text_of
from apportion.domain.errors import InputError
from apportion.domain.money import nano

KINDS: Final = (
    "on_demand", "spot", "serverless", "marketplace", "reserved_1y", "rental_3y", "owned_hyperscaler_4y", "owned_neocloud",
    "assumed",
)  # fmt: skip
"""How the time is bought; the owned ones are modelled costs of ownership, not quotes."""

CURRENCY: Final = "USD"
COLUMNS: Final = (
    "gpu", "provider", "product", "region", "kind", "usd_per_gpu_hour", "as_of", "confidence", "source", "note",
)  # fmt: skip

_AS_OF: Final = re.compile(r"\d{4}(-(H[12]|\d\d(-\d\d)?))?", re.ASCII)
_REFERENCE: Final = re.compile(r"(?P<provider>[^/@]+)/(?P<kind>[^/@]+)(?P<parts>(/[^/@]+)*)(@(?P<as_of>[^/@]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPrice:
    """A public price per GPU and hour; instances are divided by their GPUs.

    Attributes:
        gpu: id of the hardware catalog.
        provider: who sells.
        product: instance type or plan, or empty.
        region: where, or empty.
        kind: one of `KINDS`.
        usd_per_gpu_hour: exactly as listed.
        as_of: date, month, half-year or year of the price.
        confidence: high, medium or low.
        source: where it was read.
        note: what to know about it.
    """

    gpu: str
    provider: str
    product: str
    region: str
    kind: str
    usd_per_gpu_hour: Decimal
    as_of: str
    confidence: str
    source: str
    note: str

    @property
    def reference(self) -> str:
        """The text by which a rate names this price and no other of its GPU."""
        place = "".join(f"/{part}" for part in (self.region, self.product) if part)
        return f"{self.provider}/{self.kind}{place}@{self.as_of}"

    @property
    def citation(self) -> str:
        """Price, seller, date, confidence and source in one sentence."""
        where = " ".join(part for part in (self.provider, self.kind, self.region, self.product) if part)
        said = f"{self.usd_per_gpu_hour} {CURRENCY} per GPU-hour, {where}, as of {self.as_of}, confidence {self.confidence}"
        return f"{said} ({self.source}{'; ' + self.note if self.note else ''})"


@cache
def prices() -> tuple[ListPrice, ...]:
    """Every price of the packaged catalog, in its order; read once, when first asked for."""
    return read(text_of("prices.csv"))


def read(text: str) -> tuple[ListPrice, ...]:
    """Prices from the text of a file. Raises: InputError for a cell that cannot be read, or two prices of one reference."""
    found = items("prices.csv", text, COLUMNS, parsed)
    known: set[tuple[str, str]] = set()
    for price in found:
        if (price.gpu, price.reference) in known:
            raise InputError(f"prices.csv: {price.gpu} has two prices {price.reference}")
        known.add((price.gpu, price.reference))
    return found


def matching(reference: str, candidates: Sequence[ListPrice]) -> tuple[ListPrice, ...]:
    """Of some prices those that `PROVIDER/KIND[/REGION][/PRODUCT][@AS_OF]` names, in their order.

    What follows the kind is a region or a product, in any order; what is left out asks nothing. Letters count alike in any case.
    Raises: ValueError, in a sentence, for a text of another form.
    """
    asked = _REFERENCE.fullmatch(reference)
    if asked is None:
        msg = f"is {reference!r}; write PROVIDER/KIND, then /REGION or /PRODUCT and @DATE where several are listed"
        raise ValueError(msg)
    head = asked["provider"].lower(), asked["kind"].lower()
    parts = {part.lower() for part in asked["parts"].split("/") if part}
    return tuple(
        price
        for price in candidates
        if (price.provider.lower(), price.kind) == head
        and parts <= {price.region.lower(), price.product.lower()}
        and asked["as_of"] in {None, price.as_of}
    )


def nearest(reference: str, candidates: Sequence[ListPrice]) -> list[str]:
    """References of some prices, those that begin as the one written does first."""
    written = reference.lower()
    return sorted((price.reference for price in candidates), key=lambda name: (-_shared(name.lower(), written), name))


def _shared(one: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def parsed(row: Row) -> ListPrice:
    """A price from the cells of one line. Raises: ValueError, in a sentence, for one that cannot be read."""
    for column in ("provider", "product", "region"):
        if set("/@") & set(row[column]):
            raise ValueError(f"{column} is {row[column]!r}; / and @ divide the parts of a reference")
    if not _AS_OF.fullmatch(row["as_of"]):
        raise ValueError(f"as_of is {row['as_of']!r}, not a year, half-year, month or date")
    if nano(row["usd_per_gpu_hour"]) <= 0:
        raise ValueError(f"usd_per_gpu_hour is {row['usd_per_gpu_hour']}; a price is above zero")
    return ListPrice(
        gpu=text_cell(row, "gpu"),
        provider=text_cell(row, "provider"),
        product=row["product"],
        region=row["region"],
        kind=choice_cell(row, "kind", KINDS),
        usd_per_gpu_hour=Decimal(row["usd_per_gpu_hour"]),
        as_of=row["as_of"],
        confidence=choice_cell(row, "confidence", CONFIDENCES),
        source=text_cell(row, "source"),
        note=row["note"],
    )
