"""`apportion rates`."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING

from apportion.catalog import cloud_prices, hardware, prices
from apportion.cli.output import console, print_json
from apportion.cli.times import instant
from apportion.config.tables import listed
from apportion.config.values import stamp
from apportion.domain.errors import InputError, UsageError
from apportion.domain.money import text

if TYPE_CHECKING:
    from apportion.catalog.cloud_prices import Offer
    from apportion.catalog.prices import ListPrice

COLUMNS = ("pool", "component", "per_gpu_hour", "purchase", "currency", "source", "effective_from", "effective_to")
_PURCHASES = ("on_demand", "spot", "serverless")


def run(options: argparse.Namespace) -> int:
    """Public prices that the program ships, or rows of the rate card from a cloud's price file; nothing is written anywhere."""
    return _list(options) if options.rates == "list" else _import(options)


def _list(options: argparse.Namespace) -> int:
    found = [price for price in prices.prices() if _asked(price, options)]
    if options.json:
        print_json({"prices": [{"reference": price.reference, **dataclasses.asdict(price)} for price in found]})
        return 0
    if not found:
        raise UsageError(_nothing(options))
    _show(found)
    return 0


def _nothing(options: argparse.Namespace) -> str:
    """Which of the options names nothing that is listed, and what is; else that they do so together."""
    known = {
        "--gpu": (options.gpu, {price.gpu for price in prices.prices()}),
        "--provider": (options.provider, {price.provider for price in prices.prices()}),
        "--kind": (options.kind, {price.kind for price in prices.prices()}),
    }
    for option, (asked, words) in known.items():
        if asked is not None and asked.lower() not in {word.lower() for word in words}:
            near = [word for word in hardware.nearest(asked) if word in words] if option == "--gpu" else []
            hint = f"did you mean {' or '.join(near)}?" if near else f"listed are {listed(sorted(words), 40)}"
            return f"no price is listed for {option} {asked!r}; {hint}"
    given = [f"{option} {asked!r}" for option, (asked, _) in known.items() if asked is not None]
    return f"no price is listed for {' and '.join(given)} together; leave one out to see what there is"


def _asked(price: ListPrice, options: argparse.Namespace) -> bool:
    wanted = ((options.gpu, price.gpu), (options.provider, price.provider), (options.kind, price.kind))
    return all(asked is None or asked.lower() == said.lower() for asked, said in wanted)


def _show(found: Sequence[ListPrice]) -> None:
    from exporters.columns import Column, show_columns

    notes = [f"{price.source}; {price.note}" if price.note else price.source for price in found]
    columns = [
        Column("gpu", [price.gpu for price in found]),
        Column("catalog =", [price.reference for price in found]),
        Column("USD/h", [str(price.usd_per_gpu_hour) for price in found], is_number=True),
        Column("confidence", [price.confidence for price in found]),
        Column("source", notes, wraps=True),
    ]
    screen = console()
    show_columns("Public prices of a GPU-hour in USD", columns, screen)
    screen.print(
        f"\n{len(found)} public prices; none is used unless a rate names it, and then `apportion check` says so",
        markup=False,
    )


def _import(options: argparse.Namespace) -> int:
    since = instant(options.since, "--since")
    try:
        with options.file.open(encoding="utf-8-sig", newline="") as stream:
            offers = cloud_prices.read(stream, options.format)
    except OSError as error:
        raise InputError(
            f"{options.file} cannot be read ({error.strerror}); give this user access, or correct the path"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{options.file} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except InputError as error:
        raise InputError(f"{options.file}: {error}") from None
    rows = _rows(_one(_narrowed(offers, options), options), options, since)
    if options.json:
        print_json({"rates": [dict(zip(COLUMNS, row, strict=True)) for row in rows]})
        return 0
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return 0


def _narrowed(offers: Sequence[Offer], options: argparse.Namespace) -> list[Offer]:
    def fits(asked: str | None, said: str) -> bool:
        return asked is None or asked.lower() == said.lower()

    return [
        offer
        for offer in offers
        if fits(options.product, offer.product)
        and fits(options.region, offer.region)
        and (not offer.zone or fits(options.zone, offer.zone))
        and fits(options.gpu, offer.gpu)
        and fits(options.purchase, offer.purchase)
    ]


def _one(found: list[Offer], options: argparse.Namespace) -> list[Offer]:
    """The prices of one instance; several of them only where each has a date of its own. Raises: UsageError."""
    if not found:
        raise UsageError(
            f"{options.file} has no such price; see its instance types with other --product, --region, --zone, --gpu or --purchase"
        )
    if len(anywhere := {dataclasses.replace(offer, zone="") for offer in found}) == 1:
        return list(anywhere)  # zones of one price
    instances = {
        (offer.product, offer.region, offer.zone, offer.gpu, offer.purchase, offer.currency) for offer in found
    }
    dates = {offer.effective_from for offer in found}
    if len(instances) == 1 and len(dates) == len(found):
        return sorted(found, key=lambda offer: offer.effective_from)
    words = sorted(
        {
            f"{offer.product} in {offer.zone or offer.region or 'no region'}, {offer.purchase}, "
            f"{offer.gpu or 'GPU not named'} ({offer.price})"
            for offer in found
        }
    )
    raise UsageError(
        f"{len(found)} prices fit, and a pool has one; narrow them with --product, --region, --zone, "
        f"--gpu and --purchase: {listed(words, 12)}"
    )


def _rows(found: Sequence[Offer], options: argparse.Namespace, since: datetime | None) -> list[tuple[str, ...]]:
    if since and len(found) > 1:
        raise UsageError(f"--since is for one price, and {len(found)} fit, each of a date of its own; leave it out.")
    starts = [since or _start(offer) for offer in found]
    ends = [*(stamp(start) for start in starts[1:]), ""]
    return [
        (
            options.pool,
            "accelerator",
            _amount(offer, options),
            offer.purchase if offer.purchase in _PURCHASES else "reserved",
            offer.currency,
            f"{options.file.name} ({options.format}): {offer.product} {offer.zone or offer.region} {offer.price} per hour".replace(
                "  ", " "
            ),
            stamp(start),
            end,
        )
        for offer, start, end in zip(found, starts, ends, strict=True)
    ]


def _amount(offer: Offer, options: argparse.Namespace) -> str:
    gpus = Fraction(options.gpus) if options.gpus else offer.gpus
    if gpus is None:
        raise UsageError(f"the file does not say how many GPUs {offer.product} has; add --gpus N")
    whole, _, decimals = text(offer.per_gpu_hour_nano(gpus)).partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"


def _start(offer: Offer) -> datetime:
    said = offer.effective_from
    start = instant(said if "T" in said else f"{said}T00:00Z", "its date") if said else None
    if start is None:
        raise UsageError(
            "the file does not date its prices; add --since T, the first hour at this one, such as 2026-10-01T00:00Z"
        )
    return start
