"""Times and words that commands are given: what cannot be is refused with exit code 2 and how to write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from apportion.cli import main

CONFIG = '[ledger]\npath = "l.duckdb"\nbilling_currency = "USD"\n'


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    """What a command says that is not carried out for its arguments."""
    (folder / "apportion.toml").write_text(CONFIG)
    assert main(["--config", str(folder / "apportion.toml"), *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("prices", "check", "--at"),
        ("prices", "list", "--at"),
        ("inventory", "--since"),
        ("inventory", "--until"),
        ("inventory", "--kubernetes", "page", "--since"),
        ("explain", "--hour"),
        ("meter", "--since"),
        ("meter", "--until"),
        ("reconcile", "--since"),
        ("calibrate", "--deployment", "d", "--since"),
        ("calibrate", "--deployment", "d", "--from"),
        ("rates", "import", "prices.csv", "--format", "aws", "--pool", "p", "--since"),
    ],
)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-99", "is not a time; write it as 2026-10-01T00:00Z."),
        ("", "is not a time"),
        ("2026-10-01", "has no zone; end it in Z"),
        ("2026-10-01T00:00", "has no zone; end it in Z"),
        ("0001-01-01T00:00Z", "is outside the years 1970 to 9998"),
        ("9999-12-31T23:00Z", "is outside the years 1970 to 9998"),
        ("9999-12-31T23:59-12:00", "is not a time"),
    ],
)
def test_what_is_no_time_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], text: str, said: str
) -> None:
    """By every command that takes one, before anything is looked for or opened."""
    assert f"{arguments[-1]} {text!r} {said}" in refused(capsys, tmp_path, *arguments, text)


@pytest.mark.parametrize("text", ["2026-99", "2026-02-30", "", "9999-12-31", "0001-01-01", "2026-10-01T00:00Z"])
def test_what_is_no_day_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str) -> None:
    """The audit is of one day."""
    said = refused(capsys, tmp_path, "audit", "shares", "--deployment", "d", "--day", text)
    assert f"--day {text!r} is " in said
    assert "write it as 2026-10-01" in said


@pytest.mark.parametrize("command", [("inventory",), ("meter",), ("inventory", "--kubernetes", "page")])
def test_a_span_that_ends_before_it_begins_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Else it would look as if there were nothing in it."""
    span = ("--since", "2026-10-02T00:00Z", "--until", "2026-10-01T00:00Z")
    assert "--since 2026-10-02T00:00:00Z is not before --until 2026-10-01T00:00:00Z" in refused(
        capsys, tmp_path, *command, *span
    )


def test_a_time_that_would_change_nothing_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`prices check` looks at the last run, and Kubernetes at now."""
    time = "2026-10-01T00:00Z"
    assert "--at is for `prices list`" in refused(capsys, tmp_path, "prices", "check", "--at", time)
    assert "--until is not for --kubernetes" in refused(
        capsys, tmp_path, "inventory", "--kubernetes", "page", "--until", time
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind", "foo"), "no price is listed for --kind 'foo'; listed are assumed, marketplace, on_demand, "),
        (("--provider", "Nobody"), "no price is listed for --provider 'Nobody'; listed are AWS, "),
        (("--gpu", "Voodoo2"), "no price is listed for --gpu 'Voodoo2'; listed are "),
        (
            ("--gpu", "L40S", "--kind", "rental_3y"),
            "no price is listed for --gpu 'L40S' and --kind 'rental_3y' together",
        ),
    ],
)
def test_a_word_that_names_no_price_is_told_what_does(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """The option that is wrong, with everything that it may be."""
    assert said in refused(capsys, tmp_path, "rates", "list", *arguments)
