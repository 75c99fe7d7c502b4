"""Every command with its summary and its options; as light as can be, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from apportion.cli import catalog_options

COMMANDS: Final = {
    "demo": "a bounded simulated fleet through the whole pipeline, in a folder of its own",
    "init": "write a commented apportion.toml and teams.csv to start from",
    "check": "validate the config at once, print it resolved, and look at every source",
    "ingest": "land files of usage events, GPU or engine samples (again is harmless)",
    "meter": "meter the hours that are due, settle their months, publish the results",
    "calibrate": "learn what a token takes, or what a deployment sustains, from the hours metered",
    "report": "the chargeback of a month",
    "rates": "public GPU prices with their sources, and rows of the rate card from a cloud's price file",
    "inventory": "GPUs of each pool against those that telemetry or Kubernetes shows, with the rows to write",
    "explain": "from a figure down to hours, rates, methods and the reasons for them",
    "reconcile": "tokens in request logs against what the engines counted, and why they differ",
    "prices": "token prices in force for the external models seen, and where price lists disagree",
    "audit": "a day's cost by token weights beside another way to divide it",
    "status": "how far the figures reach, what was rejected, whether the money adds up",
    "serve": "collect from every source, meter on a schedule, answer /metrics, until SIGTERM",
    "relay": "take in what senders push, keep it on disk, deliver it until accepted",
}


def shared(parser: argparse.ArgumentParser, *, top: bool) -> None:
    """Options that may stand before or after the command; the command's own never overwrite with a default."""

    def default(value: object) -> object:
        return value if top else argparse.SUPPRESS

    parser.add_argument(
        "--config",
        type=Path,
        metavar="F",
        help="config file (default: apportion.toml)",
        default=default(Path("apportion.toml")),
    )
    parser.add_argument(
        "--ledger", type=Path, metavar="F", help="ledger file (default: the config's)", default=default(None)
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs", default=default(value=False))
    parser.add_argument("-v", "--verbose", action="count", help="log more; twice for everything", default=default(0))


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="DIR", help="where its files go (default: demo)"
    )


def _init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, nargs="?", default=Path(), help="where to write (default: here)")


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-probe", action="store_true", help="do not look whether the sources can be reached")


def _ingest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", type=Path, nargs="*", metavar="PATH", help="files, plain or .gz or .zst; Parquet is recognised"
    )
    parser.add_argument(
        "--format",
        default="usage",
        metavar="NAME",
        help="usage, gpu, engine, a known system such as litellm or kong, the name of a [[sources]] mapping, or auto: told by the first "
        "records (default: usage)",
    )
    parser.add_argument("--replay-rejections", action="store_true", help="try the quarantined records again")


def _meter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", metavar="T", help="first hour, such as 2026-10-01T00:00Z; meters again from there")
    parser.add_argument("--until", metavar="T", help="end of the last hour, exclusive")


def _calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deployment", required=True, metavar="D", help="whose hours to learn from")
    parser.add_argument("--since", metavar="T", help="first hour, such as 2026-10-01T00:00Z (default: four weeks back)")
    parser.add_argument("--until", metavar="T", help="end of the last hour, exclusive (default: the last metered one)")
    parser.add_argument("--from", dest="effective_from", metavar="T", help="in force from this hour (default: --until)")
    parser.add_argument("--min-r2", default="0.9", metavar="R", help="what a fit must explain (default: 0.9)")
    parser.add_argument("--dry-run", action="store_true", help="show it, and write nothing")
    parser.add_argument("--capacity", action="store_true", help="learn capacity_per_gpu_hour instead; writes nothing")
    parser.add_argument("--ttft-ms", metavar="MS", help="service level: to the first token (default: the config's)")
    parser.add_argument("--tpot-ms", metavar="MS", help="service level: per further token (default: the config's)")
    parser.add_argument("--quantile", metavar="Q", help="share of requests to meet both (default: the config's, 0.95)")


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--month", required=True, metavar="YYYY-MM")
    parser.add_argument(
        "--by", metavar="DIMS", help="columns to sum by, such as team,model; `day` or `hour` splits the month"
    )
    parser.add_argument("--format", default="table", choices=("table", "csv", "parquet", "json"))
    parser.add_argument("--out", type=Path, metavar="P", help="write to a file instead of the screen")


def _explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--month", metavar="YYYY-MM", help="the figure of a month")
    parser.add_argument("--hour", metavar="T", help="the figure of one hour, to the bottom, such as 2026-10-07T14:00Z")
    parser.add_argument("--team", metavar="T", help="of this team only; `__idle__` and the like are teams too")
    parser.add_argument("--model", metavar="M", help="of this model only")
    parser.add_argument("--deployment", metavar="D", help="of this deployment only")
    parser.add_argument("--pool", metavar="P", help="of this pool only, what no deployment holds included")


def _reconcile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--month", metavar="YYYY-MM", help="the hours of a month (default: the newest compared one)")
    parser.add_argument("--since", metavar="T", help="first hour, such as 2026-10-01T00:00Z, instead of a month")
    parser.add_argument("--until", metavar="T", help="end of the last hour, exclusive")
    parser.add_argument("--pool", metavar="P", help="hour by hour, of this pool only")


def _rates(parser: argparse.ArgumentParser) -> None:
    catalog_options.rates(parser, lambda task: shared(task, top=False))


def _prices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["list", "check"], help="the prices in force, or what is doubtful about them")
    parser.add_argument("--at", metavar="T", help="in force then, such as 2026-10-01T00:00Z (default: at the last run)")


def _audit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("shares",), help="shares: against processor sharing, by team")
    parser.add_argument("--day", required=True, metavar="YYYY-MM-DD", help="in UTC")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--deployment", metavar="D", help="the deployment")
    where.add_argument("--pool", metavar="P", help="all deployments of a pool, each by itself")


def _status(_: argparse.ArgumentParser) -> None:
    return


def _serve(_: argparse.ArgumentParser) -> None:
    return


def _relay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="URL", help="the receiver, such as http://apportion:8321")
    parser.add_argument("--token-env", metavar="NAME", help="environment variable with the receiver's bearer token")
    parser.add_argument(
        "--listen",
        default="127.0.0.1:8322",
        metavar="HOST:PORT",
        help="where senders push to (default: 127.0.0.1:8322)",
    )
    parser.add_argument("--listen-token-env", metavar="NAME", help="variable with the token that senders must give")
    parser.add_argument(
        "--spool", type=Path, default=Path("relay.spool"), metavar="F", help="file of what waits (default: relay.spool)"
    )
    parser.add_argument(
        "--spool-bytes-max", type=int, default=1 << 30, metavar="N", help="when it holds so much, senders wait (1 GiB)"
    )
    parser.add_argument(
        "--body-bytes-max", type=int, default=32 << 20, metavar="N", help="of one request, as it is sent (32 MiB)"
    )
    parser.add_argument(
        "--drain-seconds", type=int, default=10, metavar="N", help="how long SIGTERM still delivers (default: 10)"
    )
    refused = parser.add_mutually_exclusive_group()
    refused.add_argument("--list-refused", action="store_true", help="show what the receiver refused for good, and why")
    refused.add_argument(
        "--retry-refused", action="store_true", help="deliver it again, after a fix; the relay may run"
    )
    refused.add_argument("--drop-refused", action="store_true", help="forget it")


OPTIONS: Final[Mapping[str, Callable[[argparse.ArgumentParser], None]]] = {
    "demo": _demo,
    "init": _init,
    "check": _check,
    "ingest": _ingest,
    "meter": _meter,
    "calibrate": _calibrate,
    "report": _report,
    "rates": _rates,
    "inventory": catalog_options.inventory,
    "explain": _explain,
    "reconcile": _reconcile,
    "prices": _prices,
    "audit": _audit,
    "status": _status,
    "serve": _serve,
    "relay": _relay,
}
"""Command -> what adds its options."""
