"""Price files of clouds as offers: what each calls an instance, how many GPUs it has, and its price per hour.

Formats, and where they are described:
- skypilot: `vms.csv` of the SkyPilot catalog, schema v5 and later (README of skypilot-org/skypilot-catalog): one instance type in
  one region or zone per line, prices in USD, an empty `SpotPrice` where there is none.
- aws: CSV offer file of AmazonEC2 (AWS Billing, "Reading the service price list file"): five lines of metadata, then the header. Of
  its lines the shared, plain Linux instances on demand count; the others are other systems, software, tenancies and terms. It does
  not name the GPU.
- azure: items of the Retail Prices API (Azure REST reference, "Azure Retail Prices"), as its JSON or as a CSV with its fields. Of
  them virtual machines by the hour count, not Windows, low priority or reservations. It names neither the GPU nor how many there are.
- apportion: a file in the columns of the packaged `prices.csv`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from io import StringIO
from itertools import islice
from typing import Final, TextIO

from apportion.catalog import prices
from apportion.domain.errors import InputError
from apportion.domain.money import NANO, half_even

FORMATS: Final = ("skypilot", "aws", "azure", "apportion")
_AWS_METADATA_LINES: Final = 5
_AWS_WANTED: Final = {
    "TermType": "OnDemand",
    "Tenancy": "Shared",
    "Operating System": "Linux",
    "CapacityStatus": "Used",
}
_HOURS: Final = ("Hrs", "hrs", "Hours")

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An instance for an hour.

    Attributes:
        product: instance type.
        gpu: as the file names it, or empty.
        gpus: how many it has, or None where the file does not say.
        region: where.
        purchase: on_demand, spot, or another kind of the packaged catalog.
        price: of the whole instance.
        currency: of the price.
        effective_from: date of the price as the file says it, or empty.
        zone: where a price is of one part of the region, as spot prices are; else empty.
    """

    product: str
    gpu: str
    gpus: Fraction | None
    region: str
    purchase: str
    price: Decimal
    currency: str
    effective_from: str
    zone: str = ""

    def per_gpu_hour_nano(self, gpus: Fraction) -> int:
        """The price of one of so many GPUs, in 1e-9 of the currency, half to even."""
        return half_even(Fraction(self.price) * NANO / gpus)


def read(stream: TextIO, format_name: str) -> list[Offer]:
    """The offers of GPU instances in a file, each once, in its order; line by line, since some files have gigabytes.

    Raises: InputError, in a sentence with the line, for a file that is not of the format, has no GPU instance on the terms that
    are read, or has a price that cannot be read.
    """
    reader, first = _READERS[format_name]
    text = stream.read() if format_name == "azure" else ""
    if text.lstrip()[:1] in {"{", "["}:
        rows: Iterator[tuple[int, Row]] = enumerate(_items(text), 1)
    else:
        rows = _lines(StringIO(text) if text else stream, first)
    found: dict[Offer, None] = {}
    for line, row in rows:
        try:
            for offer in reader(row):
                found[offer] = None
        except KeyError as error:
            if {"pool", "component"} <= set(row):
                raise InputError(
                    'it is a rate card already, with pools and components; name it as it is: [[rate_files]] with path = "FILE"'
                ) from None
            raise InputError(
                f"line {line}: there is no column {error}, so this is not {format_name}; name its --format"
            ) from None
        except ValueError as error:
            raise InputError(f"line {line}: {error}") from None
    if not found:
        raise InputError(
            f"there is no price of a GPU instance in it that {format_name} files are read for; check --format"
        )
    return list(found)


def _lines(stream: TextIO, first: int) -> Iterator[tuple[int, Row]]:
    reader = csv.DictReader(islice(stream, first, None), restval="")
    for row in reader:
        yield first + reader.line_num, row


def _items(text: str) -> list[Row]:
    try:
        found = json.loads(text, parse_float=str, parse_int=str)
    except ValueError as error:
        raise InputError(f"this is not JSON: {error}") from None
    items = found.get("Items") if isinstance(found, dict) else found
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InputError("there are no Items; save the whole answer of the Retail Prices API")
    return [{key: "" if value is None else str(value) for key, value in item.items()} for item in items]


def _skypilot(row: Row) -> Iterator[Offer]:
    gpu, count = row["AcceleratorName"], _number(row["AcceleratorCount"] or "0", "AcceleratorCount")
    if not gpu or not count:
        return
    for purchase, column in (("on_demand", "Price"), ("spot", "SpotPrice")):
        if row[column] and row[column].lower() != "nan":
            yield Offer(
                product=row["InstanceType"],
                gpu=gpu,
                gpus=Fraction(count),
                region=row["Region"],
                purchase=purchase,
                price=_number(row[column], column),
                currency="USD",
                effective_from="",
                zone=row.get("AvailabilityZone", "") if purchase == "spot" else "",
            )


def _aws(row: Row) -> Iterator[Offer]:
    if any(row[column] != value for column, value in _AWS_WANTED.items()) or row["Unit"] not in _HOURS:
        return
    if row["Pre Installed S/W"] not in {"", "NA"} or row.get("MarketOption", "OnDemand") not in {"", "OnDemand"}:
        return  # software on top; blocks of capacity, which are bought ahead
    if not row["GPU"] or not (gpus := _number(row["GPU"], "GPU")):
        return
    if price := _number(row["PricePerUnit"], "PricePerUnit"):
        yield Offer(
            product=row["Instance Type"],
            gpu="",
            gpus=Fraction(gpus),
            region=row.get("Region Code") or row["Location"],
            purchase="on_demand",
            price=price,
            currency=row["Currency"],
            effective_from=row["EffectiveDate"],
        )


def _azure(row: Row) -> Iterator[Offer]:
    said = f"{row['productName']} {row['skuName']} {row['meterName']}"
    if row["serviceName"] != "Virtual Machines" or row["type"] != "Consumption" or row["unitOfMeasure"] != "1 Hour":
        return
    if "Windows" in said or "Low Priority" in said:
        return
    yield Offer(
        product=row["armSkuName"],
        gpu="",
        gpus=None,
        region=row["armRegionName"],
        purchase="spot" if "Spot" in said else "on_demand",
        price=_number(row["retailPrice"], "retailPrice"),
        currency=row["currencyCode"],
        effective_from=row.get("effectiveStartDate", ""),
    )


def _own(row: Row) -> Iterator[Offer]:
    price = prices.parsed({column: row[column] for column in prices.COLUMNS})
    yield Offer(
        product=price.product or price.provider,
        gpu=price.gpu,
        gpus=Fraction(1),
        region=price.region,
        purchase=price.kind,
        price=price.usd_per_gpu_hour,
        currency=prices.CURRENCY,
        effective_from="",
    )


def _number(text: str, column: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise ValueError(f"{column} is {text!r}, not a number of zero or more")
    return number


_READERS: Final[Mapping[str, tuple[Callable[[Row], Iterator[Offer]], int]]] = {
    "skypilot": (_skypilot, 0),
    "aws": (_aws, _AWS_METADATA_LINES),
    "azure": (_azure, 0),
    "apportion": (_own, 0),
}
"""Format -> how a line becomes offers, and how many lines stand before the header."""
