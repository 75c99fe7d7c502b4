"""The command line: parse, hand over to one module per command, turn errors into sentences and exit codes.

Nothing heavy is imported before a command runs, so `--help` answers at once.

Exit codes: 0 done; 1 refused or failed; 2 usage or config.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence

from apportion import __version__
from apportion.cli.commands import COMMANDS, OPTIONS, shared


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
    """Every command and option; what is written of each is in `commands`."""
    parser = argparse.ArgumentParser(
        prog="apportion",
        description="Every nano-dollar of an LLM fleet's cost on exactly one line.",
        epilog="Start with `apportion demo`, or with `apportion init` in a new folder.",
    )
    parser.add_argument("--version", action="version", version=f"apportion {__version__}")
    shared(parser, top=True)
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        shared(command, top=False)
        OPTIONS[name](command)
    return parser


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
