"""The chargeback of a month: columns, exact sums, and every form it is written in."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from apportion.domain.errors import LedgerError, UsageError
from apportion.domain.period import month
from apportion.ledger.connection import read_only
from exporters import chargeback
from exporters.results import publish
from tests.frozen import FrozenClock
from tests.steps.attribution.metered import NOVEMBER
from tests.unit.exporters.conftest import results_of, worked_example

OCTOBER = month("2026-10")


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The worked example's results."""
    return results_of(tmp_path_factory.mktemp("example"), worked_example)


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """Results of the worked example and more."""
    return results_of(tmp_path_factory.mktemp("busy"), worked_example, other_hours)


def other_hours(books):
    """A second hour, a second month, tokens without a price, and a shared cost."""
    caller = books.caller("key-search-1")
    books.shared("platform")
    books.overhead(0, 100, "platform")
    books.charge(30, 7, tokens=3, caller=caller, pool="h100-prod", deployment="llama70b", model="llama-3.1-70b")
    books.charge(
        30, None, tokens=9, caller=books.caller("stranger"), pool="", deployment="", model="new", cause="unplaced"
    )
    books.charge(744, 11, tokens=1, caller=caller, pool="h100-prod", deployment="llama70b", model="llama-3.1-70b")


def by_the_hour(books):
    """Policies that weigh each hour."""
    books.policy("proportional", "hour")


def records(frame):
    """Rows as dictionaries."""
    return frame.to_dict(orient="records")


def test_worked_example_is_the_golden_file(example, golden):
    """README, pencil and this file agree: search 2.00 and 0.666666667 of the idle, ads 2.50 and 0.833333333."""
    frame = chargeback.month_table(example, OCTOBER)

    golden("worked_example/chargeback_2026_10.csv", chargeback.text(frame, "csv"))


def test_columns_are_the_contract(example):
    """A table has exactly the columns of the chargeback, in their order, as text but for the policy's version."""
    frame = chargeback.month_table(example, OCTOBER)

    assert ",".join(frame.columns) == (
        "billing_period,charge_period_start,charge_period_end,team_id,team_name,project,cost_center,provider,model_id,"
        "pool_id,deployment_id,tier,cost_kind,cause,token_kind,consumed_quantity,consumed_unit,effective_cost,"
        "billing_currency,unit_cost,allocation_method,confidence,policy_version,charge_class,statement_version"
    )
    assert {str(kind) for kind in frame.dtypes} == {"str", "int32"}


def test_every_grouping_adds_up_to_the_month(busy):
    """Whatever dimensions and periods are asked for, the lines add up to the month's charges, to the nano."""
    results = busy
    whole = chargeback.total(chargeback.month_table(results, OCTOBER))

    assert whole == 6_000_000_107
    for by in (None, ["team"], ["model", "token_kind"], ["pool", "cost_center"], ["project"], ["policy_version"]):
        for period in ("month", "day", "hour"):
            frame = chargeback.month_table(results, OCTOBER, by=by, period=period)
            assert chargeback.total(frame) == whole, (by, period)
            assert chargeback.tokens_without_cost(frame) == 9, (by, period)
            amounts = ("consumed_quantity", "effective_cost", "unit_cost")
            keys = frame[[name for name in frame.columns if name not in amounts]]
            assert not keys.assign(unpriced=frame["effective_cost"] == "").duplicated().any()


def test_grouping_keeps_the_named_dimensions_and_cost_kind(example):
    """`by` names dimensions as people do; cost kind is always kept apart, and quantities add up too."""
    frame = chargeback.month_table(example, OCTOBER, by=["team", "model"])

    assert list(frame.columns)[3:6] == ["team_id", "model_id", "cost_kind"]
    assert [
        (row["team_id"], row["model_id"], row["cost_kind"], row["consumed_quantity"], row["effective_cost"])
        for row in records(frame)
    ] == [
        ("__idle__", "", "idle", "", "0.000000000"),
        ("ads", "", "idle", "", "0.833333333"),
        ("ads", "llama-3.1-70b", "workload", "500000", "2.500000000"),
        ("search", "", "idle", "", "0.666666667"),
        ("search", "llama-3.1-70b", "workload", "700000", "2.000000000"),
    ]


def test_days_and_hours_carry_their_own_periods(busy):
    """Lines of a day or an hour say so; what was settled over the month keeps the month."""
    results = busy
    for period, ends in (
        ("day", ("2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z")),
        ("hour", ("2026-10-01T01:00:00Z", "2026-10-02T07:00:00Z")),
    ):
        frame = chargeback.month_table(results, OCTOBER, by=["team"], period=period)
        found = {(row["charge_period_start"], row["charge_period_end"]) for row in records(frame)}
        starts = ("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z" if period == "day" else "2026-10-02T06:00:00Z")
        assert found == {*zip(starts, ends, strict=True), ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")}


def test_what_was_settled_by_the_hour_is_a_line_of_its_hour(published):
    """Settled over each hour, idle that teams bear stands in that hour, and in that day."""
    results = published(worked_example, by_the_hour)

    for period, end in (("hour", "2026-10-01T01:00:00Z"), ("day", "2026-10-02T00:00:00Z")):
        frame = chargeback.month_table(results, OCTOBER, by=["cause"], period=period)
        assert {row["charge_period_end"] for row in records(frame)} == {end}


def test_an_unpriced_model_is_a_visible_line(busy):
    """Tokens without a price have a line with a quantity, and neither a cost nor a unit cost."""
    results = busy
    line = next(row for row in records(chargeback.month_table(results, OCTOBER)) if row["cause"] == "unplaced")
    assert (line["team_id"], line["model_id"], line["consumed_quantity"], line["consumed_unit"], line["effective_cost"], line["unit_cost"]) == (
        "__unmapped__", "new", "9", "tokens", "", "")  # fmt: skip


@pytest.mark.parametrize(
    "by", [["cost_kind"], ["team"], ["provider"], ["pool"], ["deployment"], ["token_kind"], ["tier", "project"]]
)
@pytest.mark.parametrize("period", ["month", "day", "hour"])
def test_tokens_without_a_cost_stay_lines_of_their_own(published, by, period):
    """Beside priced tokens of the same group as well; of every other line quantity x unit cost is the cost, within rounding."""

    def half_priced(books):
        worked_example(books)
        books.charge(
            0,
            None,
            tokens=5,
            caller=books.caller("key-search-1"),
            pool="h100-prod",
            deployment="llama70b",
            cause="unplaced",
        )

    frame = chargeback.month_table(published(half_priced), OCTOBER, by=by, period=period)
    unpriced = [row for row in records(frame) if row["consumed_quantity"] and not row["effective_cost"]]
    priced = [row for row in records(frame) if row["consumed_quantity"] and row["effective_cost"]]

    assert [(row["consumed_quantity"], row["consumed_unit"], row["unit_cost"]) for row in unpriced] == [
        ("5", "tokens", "")
    ]
    assert sum(int(row["consumed_quantity"]) for row in priced) == 1_200_000
    for row in priced:
        quantity = int(row["consumed_quantity"])
        added = quantity * Decimal(row["unit_cost"])
        assert abs(added - Decimal(row["effective_cost"])) <= quantity * Decimal("0.0000000000005")
    assert sum(Decimal(row["effective_cost"] or 0) for row in records(frame)) == 6


def test_totals_say_how_many_tokens_have_no_cost(busy, example, tmp_path: Path):
    """On screen below the total, in JSON beside it; Parquet keeps the line, with a quantity and no amount."""
    by_team = chargeback.month_table(busy, OCTOBER, by=["team"])
    page = screen(by_team)
    assert page.endswith(
        "\n9 tokens have no cost and are in no amount; `apportion report --by model,cause` names them, and says why\n"
    )
    assert "no cost" not in screen(chargeback.month_table(example, OCTOBER, by=["team"]))
    assert json.loads(chargeback.text(by_team, "json"))["tokens_without_cost"] == "9"
    assert json.loads(chargeback.text(chargeback.month_table(example, OCTOBER), "json"))["tokens_without_cost"] == "0"

    chargeback.write(by_team, tmp_path / "t.parquet", "parquet")
    rows = duckdb.connect().execute(
        f"SELECT consumed_quantity, unit_cost FROM '{tmp_path / 't.parquet'}' WHERE effective_cost IS NULL"
    )
    assert rows.fetchall() == [(9, None)]


def test_unit_cost_is_rounded_half_even(published):
    """Cost per token has twelve decimals, a tie going to the even one."""
    prices = {
        (10, 3): "0.000000003333",
        (1, 2000): "0.000000000000",
        (3, 2000): "0.000000000002",
        (5, 2000): "0.000000000002",
        (7, 2000): "0.000000000004",
        (2001, 4000): "0.000000000500",
        (9 * 10**18, 1): "9000000000.000000000000",
    }

    def priced(books):
        books.policy()
        for nano, tokens in prices:
            books.charge(0, nano, tokens=tokens, caller=books.caller("k"), model=f"{nano} / {tokens}", pool=f"{nano}")

    frame = chargeback.month_table(published(priced), OCTOBER)

    assert {row["model_id"]: row["unit_cost"] for row in records(frame)} == {
        f"{nano} / {tokens}": price for (nano, tokens), price in prices.items()
    }


def test_lines_that_carry_no_tokens_have_no_unit_cost(example):
    """Idle has a cost and nothing to divide it by."""
    idle = next(row for row in records(chargeback.month_table(example, OCTOBER)) if row["cause"] == "inactive")

    assert (idle["consumed_quantity"], idle["consumed_unit"], idle["unit_cost"], idle["effective_cost"]) == (
        "",
        "",
        "",
        "1.500000000",
    )


def test_a_month_without_charges_names_those_with(busy):
    """Asking for a month that has no charges names those there are."""
    results = busy
    with pytest.raises(LedgerError, match=r"^2026-09 has no charges; there are 2026-10, 2026-11\.$"):
        chargeback.month_table(results, month("2026-09"))


def test_no_month_at_all_says_what_to_do(kept):
    """Before anything was metered the message names the command."""
    results = read_only(publish(kept, FrozenClock(NOVEMBER)))

    with pytest.raises(LedgerError, match="run `apportion meter`"):
        chargeback.month_table(results, OCTOBER)


def test_unknown_dimensions_are_refused(example):
    """A dimension that does not exist is named, with those that do."""
    with pytest.raises(
        UsageError, match=r"--by colour, shape: no such dimension; there are team, model, .*cost_center.* day and hour"
    ):
        chargeback.month_table(example, OCTOBER, by=["team", "colour", "shape"])


HOSTILE = ["=1+1", "+cmd", "-cmd", "@sum", "\tx", "\rx", "a,b", 'say "x"', "two\nlines", "-1.5", "ok"]


def test_csv_is_rfc_4180_without_formulas(published):
    """Commas, quotes and line breaks survive; a text that a spreadsheet would run gets an apostrophe; numbers do not."""

    def hostile(books):
        books.policy("proportional")
        for number, name in enumerate(HOSTILE):
            books.rule(number, name, principal=f"k{number}")
            books.charge(0, 1, tokens=1, caller=books.caller(f"k{number}"))
        books.idle(0, 1)

    page = chargeback.text(chargeback.month_table(published(hostile), OCTOBER), "csv")
    rows = list(csv.DictReader(io.StringIO(page, newline="")))

    expected = {"'" + name if name[0] in "=+-@\t\r" and name != "-1.5" else name for name in HOSTILE}
    assert {row["team_id"] for row in rows} == expected | {"__idle__"}
    assert {row["effective_cost"] for row in rows} >= {"-0.000000001", "0.000000001"}
    assert "\r\n" not in page


def test_json_says_columns_rows_and_total(example):
    """JSON carries amounts as strings, rows as objects, and the exact total."""
    found = json.loads(chargeback.text(chargeback.month_table(example, OCTOBER), "json"))

    assert found["total"] == "6.000000000"
    assert found["columns"][:3] == ["billing_period", "charge_period_start", "charge_period_end"]
    assert sum(Decimal(row["effective_cost"]) for row in found["rows"]) == 6
    assert all(list(row) == found["columns"] for row in found["rows"])


def test_parquet_has_exact_decimals(example, tmp_path: Path):
    """Parquet keeps amounts as decimals, quantities as integers, periods as UTC times, and NULL where a cell is empty."""
    chargeback.write(chargeback.month_table(example, OCTOBER), tmp_path / "it's.parquet", "parquet")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    path = str(tmp_path / "it's.parquet").replace("'", "''")
    kinds = dict(row[:2] for row in connection.execute(f"DESCRIBE FROM '{path}'").fetchall())
    rows = connection.execute(
        f"SELECT effective_cost, consumed_quantity, epoch_us(charge_period_end) FROM '{path}' WHERE team_id = 'search' ORDER BY 1"
    ).fetchall()

    assert (kinds["effective_cost"], kinds["consumed_quantity"], kinds["unit_cost"]) == (
        "DECIMAL(38,9)",
        "BIGINT",
        "DECIMAL(38,12)",
    )
    assert kinds["charge_period_start"] == "TIMESTAMP WITH TIME ZONE"
    assert kinds["policy_version"] == "INTEGER"
    end = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 10**6
    assert rows == [(Decimal("0.666666667"), None, end), (Decimal(1), 100_000, end), (Decimal(1), 600_000, end)]


def screen(frame, width=80):
    """What a narrow terminal gets."""
    page = io.StringIO()
    chargeback.show(frame, Console(file=page, width=width, soft_wrap=True))
    return page.getvalue()


def test_printed_lines_add_up_to_the_printed_total(busy):
    """On screen every amount has the same decimals, and those printed add up to the printed total; nothing is cut."""
    results = busy
    lines = screen(chargeback.month_table(results, OCTOBER, by=["team", "model", "token_kind"]), width=40).splitlines()
    body = [line for line in lines if "  " in line and "─" not in line and not line.startswith("team")]
    place = next(line for line in lines if line.startswith("team")).index("cost USD")
    amounts = [line[: place + len("cost USD")].split()[-1] for line in body]

    assert body[-1].startswith("total")
    exact = [Decimal(amount.replace(",", "")) for amount in amounts if amount != "unpriced"]
    assert sum(exact[:-1]) == exact[-1] == Decimal("6.000000107")
    assert "unpriced" in amounts


def test_screen_is_for_people(example):
    """The example prints as it is told: columns that say nothing are gone, prices are per million tokens."""
    assert screen(chargeback.month_table(example, OCTOBER, by=["team", "token_kind"])) == (
        "Chargeback of 2026-10\n"
        "\n"
        "team      token_kind      cost_kind   tokens     cost USD  per 1M tokens\n"
        "────────  ──────────────  ─────────  ───────  ───────────  ─────────────\n"
        "__idle__                  idle                0.000000000\n"
        "ads                       idle                0.833333333\n"
        "ads       output          workload   200,000  2.000000000      10.000000\n"
        "ads       uncached_input  workload   300,000  0.500000000       1.666667\n"
        "search                    idle                0.666666667\n"
        "search    output          workload   100,000  1.000000000      10.000000\n"
        "search    uncached_input  workload   600,000  1.000000000       1.666667\n"
        "────────  ──────────────  ─────────  ───────  ───────────  ─────────────\n"
        "total                                         6.000000000\n"
    )


def test_names_cannot_forge_lines_or_move_the_cursor(published):
    """Control characters of a name are shown as such, and markup is text."""
    name = "[red]x\x1b[2J\ntotal"
    results = published(
        lambda books: (books.policy(), books.rule(1, name), books.charge(0, 10**12, tokens=1, caller=books.caller("k")))
    )

    assert "[red]x�[2J�total  workload        1  1,000.00" in screen(
        chargeback.month_table(results, OCTOBER, by=["team"])
    )


@pytest.mark.parametrize("format_name", ["csv", "json", "parquet", "table"])
def test_files_are_written_whole_or_not_at_all(example, tmp_path: Path, format_name, monkeypatch):
    """A failing write leaves the earlier file as it was, and no draft behind; folders are made as needed."""
    frame = chargeback.month_table(example, OCTOBER)
    target = tmp_path / "new" / f"out.{format_name}"
    chargeback.write(frame, target, format_name)
    before = target.read_bytes()

    def fail(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(LedgerError, match="cannot be written \\(No space left on device\\); name another place"):
        chargeback.write(frame, target, format_name)

    assert target.read_bytes() == before
    assert [file.name for file in target.parent.iterdir()] == [target.name]


def test_a_form_that_is_none_is_refused(example):
    """A format nobody knows is named."""
    with pytest.raises(UsageError, match="--format xml"):
        chargeback.text(chargeback.month_table(example, OCTOBER), "xml")
