"""The command line: parse, hand over to one module per command, turn errors into sentences and exit codes.

Nothing heavy is imported before a command runs, so `--help` answers at once.

Exit codes: 0 done; 1 refused or failed; 2 usage or config.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from apportion import __version__

COMMANDS = {
    "demo": "a bounded simulated fleet through the whole pipeline, in a folder of its own",
    "init": "write a commented apportion.toml and teams.csv to start from",
    "check": "validate the config at once, print it resolved, and look at every source",
    "ingest": "land files of usage events, GPU or engine samples (again is harmless)",
    "meter": "meter the hours that are due, settle their months, publish the results",
    "report": "the chargeback of a month",
    "reconcile": "tokens in request logs against what the engines counted, and why they differ",
    "audit": "a day's cost by token weights beside another way to divide it",
    "status": "how far the figures reach, what was rejected, whether the money adds up",
    "serve": "collect from every source, meter on a schedule, answer /metrics, until SIGTERM",
    "relay": "take in what senders push, keep it on disk, deliver it until accepted",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns: its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if not options.command:
        parser.print_help()
        return 2
    module = importlib.import_module(f"apportion.cli.{options.command}")
    return _guarded(module.run, options)


def build_parser() -> argparse.ArgumentParser:
    """Every command and option; each command's own options come from its `options` function."""
    parser = argparse.ArgumentParser(
        prog="apportion",
        description="Every nano-dollar of an LLM fleet's cost on exactly one line.",
        epilog="Start with `apportion demo`, or with `apportion init` in a new folder.",
    )
    parser.add_argument("--version", action="version", version=f"apportion {__version__}")
    _shared(parser, top=True)
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        _shared(command, top=False)
        _OPTIONS[name](command)
    return parser


def _shared(parser: argparse.ArgumentParser, *, top: bool) -> None:
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


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--month", required=True, metavar="YYYY-MM")
    parser.add_argument(
        "--by", metavar="DIMS", help="columns to sum by, such as team,model; `day` or `hour` splits the month"
    )
    parser.add_argument("--format", default="table", choices=("table", "csv", "parquet", "json"))
    parser.add_argument("--out", type=Path, metavar="P", help="write to a file instead of the screen")


def _reconcile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--month", metavar="YYYY-MM", help="the hours of a month (default: the newest compared one)")
    parser.add_argument("--since", metavar="T", help="first hour, such as 2026-10-01T00:00Z, instead of a month")
    parser.add_argument("--until", metavar="T", help="end of the last hour, exclusive")
    parser.add_argument("--pool", metavar="P", help="hour by hour, of this pool only")


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


_OPTIONS = {
    "demo": _demo,
    "init": _init,
    "check": _check,
    "ingest": _ingest,
    "meter": _meter,
    "report": _report,
    "reconcile": _reconcile,
    "audit": _audit,
    "status": _status,
    "serve": _serve,
    "relay": _relay,
}


def _guarded(run: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    from apportion.cli.output import complain, log_to_stderr
    from apportion.domain.errors import ApportionError, UsageError

    log_to_stderr(options.verbose)
    try:
        if options.ledger is not None and (not options.ledger.name or options.ledger.is_dir()):
            raise UsageError(f"--ledger {str(options.ledger)!r} is a folder; name a file, such as apportion.duckdb.")
        return run(options)
    except ApportionError as error:
        complain(error, json_wanted=options.json)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; what was committed is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
