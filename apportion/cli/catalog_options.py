"""Options of the commands around the catalog, apart from the others; as light as these, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

PRICE_FORMATS = ("skypilot", "aws", "azure", "apportion")


def rates(parser: argparse.ArgumentParser, shared: Callable[[argparse.ArgumentParser], None]) -> None:
    """`rates list` and `rates import`; `shared` adds the options that every command takes."""
    tasks = parser.add_subparsers(dest="rates", metavar="task", required=True)
    listing = tasks.add_parser(
        "list", help="public prices that come with the program, with source, date and confidence"
    )
    shared(listing)
    listing.add_argument("--gpu", metavar="ID", help="of this GPU, such as H100_SXM")
    listing.add_argument("--provider", metavar="NAME", help="of this seller, such as AWS")
    listing.add_argument("--kind", metavar="KIND", help="bought so, such as on_demand or spot")
    importing = tasks.add_parser(
        "import", help="rows of the rate card, for a [[rate_files]] CSV, from a cloud's price file"
    )
    shared(importing)
    importing.add_argument("file", type=Path, metavar="FILE", help="as the cloud publishes it")
    importing.add_argument("--format", required=True, choices=PRICE_FORMATS, help="whose file it is")
    importing.add_argument("--pool", required=True, metavar="P", help="the pool that pays the price")
    importing.add_argument("--product", metavar="NAME", help="the instance type, such as p5.48xlarge")
    importing.add_argument("--region", metavar="R", help="as the file names it")
    importing.add_argument("--zone", metavar="Z", help="of the region, as the file names it; spot prices differ by it")
    importing.add_argument("--gpu", metavar="NAME", help="as the file names it")
    importing.add_argument("--purchase", metavar="KIND", help="on_demand or spot")
    importing.add_argument("--gpus", type=_count, metavar="N", help="GPUs of one instance, where the file does not say")
    importing.add_argument(
        "--since", metavar="T", help="first hour at this price, such as 2026-10-01T00:00Z (default: its date)"
    )


def inventory(parser: argparse.ArgumentParser) -> None:
    """What the inventory is held against."""
    parser.add_argument(
        "--since",
        metavar="T",
        help="first hour, such as 2026-10-01T00:00Z (default: the 31 days up to the newest telemetry)",
    )
    parser.add_argument("--until", metavar="T", help="end of the last hour, exclusive")
    parser.add_argument(
        "--kubernetes",
        type=Path,
        metavar="FILE",
        help="a page of kube-state-metrics instead of telemetry: print rows for what it shows",
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        msg = f"{text} is no number of GPUs"
        raise argparse.ArgumentTypeError(msg)
    return number
