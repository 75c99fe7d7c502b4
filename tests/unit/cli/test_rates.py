"""`apportion rates`: the shipped prices with their sources, and rows of the rate card from price files."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest

from apportion.cli import main
from apportion.cli.rates import COLUMNS
from apportion.config import rate_rows
from tests.unit.catalog.test_cloud_prices import AWS, ITEM, SKYPILOT


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a price file of each cloud."""
    (tmp_path / "vms.csv").write_text(SKYPILOT, encoding="utf-8")
    (tmp_path / "ec2.csv").write_text(AWS, encoding="utf-8")
    (tmp_path / "ec2-dated.csv").write_text(
        AWS + AWS.splitlines()[6].replace("2026-10-01", "2026-11-01").replace("55.04", "50.08") + "\n"
    )
    (tmp_path / "azure.json").write_text(json.dumps({"Items": [ITEM]}), encoding="utf-8")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `rates`."""
    code = main(["rates", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_the_list_has_source_date_and_confidence(capsys: pytest.CaptureFixture[str]) -> None:
    """As a table, whose references can be copied, and as JSON; names count alike in any case."""
    code, out, _ = said(capsys, "list", "--gpu", "mi300x", "--provider", "Vultr")
    assert code == 0
    assert "Vultr/on_demand@2026-05-18" in out
    assert "none is used unless a rate names it" in out

    code, out, _ = said(capsys, "list", "--gpu", "H100_SXM", "--kind", "spot", "--json")
    (first, *_) = json.loads(out)["prices"]
    assert code == 0
    assert set(first) >= {"reference", "usd_per_gpu_hour", "as_of", "confidence", "source"}


def test_a_gpu_without_prices_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """With names that look like it and have prices."""
    code, _, err = said(capsys, "list", "--gpu", "H100")

    assert code == 2
    assert "did you mean H100_NVL or H100_SXM?" in err


def test_an_import_prints_rows_of_the_rate_card(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In columns that a [[rate_files]] CSV has, with the instance's price as evidence."""
    code, out, _ = said(
        capsys,
        "import",
        files / "vms.csv",
        "--format",
        "skypilot",
        "--pool",
        "h",
        "--purchase",
        "spot",
        "--since",
        "2026-10-01T00:00Z",
    )
    (row,) = csv.DictReader(StringIO(out))

    assert code == 0
    assert tuple(row) == COLUMNS
    assert set(COLUMNS) <= set(rate_rows.COLUMNS)
    assert row == {
        "pool": "h", "component": "accelerator", "per_gpu_hour": "2.6875", "purchase": "spot", "currency": "USD",
        "source": "vms.csv (skypilot): p5.48xlarge us-east-1 21.5 per hour", "effective_from": "2026-10-01T00:00:00Z", "effective_to": "",
    }  # fmt: skip


def test_spot_prices_differ_by_zone(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are told apart by --zone; zones of one price are one, and a price of the whole region holds in every zone."""
    ask = ("--format", "skypilot", "--pool", "h", "--gpu", "H100", "--since", "2026-10-01T00:00Z")
    dear = SKYPILOT.replace("us-east-1b,55.04,", "us-east-1b,55.04,22.5")
    (files / "zones.csv").write_text(dear)
    (files / "alike.csv").write_text(dear.replace("22.5", "21.5"))

    code, _, err = said(capsys, "import", files / "zones.csv", *ask, "--purchase", "spot")
    assert (code, "--zone" in err, "p5.48xlarge in us-east-1b, spot, H100 (22.5)" in err) == (2, True, True)
    for more, price in (
        (("zones.csv", "--purchase", "spot", "--zone", "us-east-1b"), "2.8125"),
        (("zones.csv", "--purchase", "on_demand", "--zone", "us-east-1b"), "6.88"),
        (("alike.csv", "--purchase", "spot"), "2.6875"),
    ):
        code, out, _ = said(capsys, "import", files / more[0], *ask, *more[1:], "--json")
        assert (code, [row["per_gpu_hour"] for row in json.loads(out)["rates"]]) == (0, [price])


def test_a_rate_card_needs_no_import(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who asks for it is told how the config names the file."""
    (files / "card.csv").write_text(
        "pool,component,per_gpu_hour,effective_from\np,accelerator,2,2026-10-01T00:00:00Z\n"
    )
    code, out, err = said(capsys, "import", files / "card.csv", "--format", "apportion", "--pool", "p")

    assert (code, out) == (1, "")
    assert (
        'card.csv: it is a rate card already, with pools and components; name it as it is: [[rate_files]] with path = "'
        in err
    )


def test_prices_with_dates_follow_one_another(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each ends where the next begins, and no date has to be given."""
    code, out, _ = said(capsys, "import", files / "ec2-dated.csv", "--format", "aws", "--pool", "h", "--json")
    rows = json.loads(out)["rates"]

    assert code == 0
    assert [(row["per_gpu_hour"], row["effective_from"], row["effective_to"]) for row in rows] == [
        ("6.88", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("6.26", "2026-11-01T00:00:00Z", ""),
    ]


def test_a_file_that_counts_no_gpus_asks_for_them(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Azure lists instances, and not what is in them."""
    command = ("import", files / "azure.json", "--format", "azure", "--pool", "h")
    assert "add --gpus N" in said(capsys, *command)[2]

    code, out, _ = said(capsys, *command, "--gpus", "8", "--json")
    assert code == 0
    assert json.loads(out)["rates"][0]["per_gpu_hour"] == "1.53625"
    assert json.loads(out)["rates"][0]["currency"] == "EUR"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("vms.csv", "--format", "skypilot"), "3 prices fit, and a pool has one; narrow them with --product"),
        (("vms.csv", "--format", "skypilot", "--product", "x"), "has no such price"),
        (("vms.csv", "--format", "skypilot", "--gpu", "L4"), "does not date its prices; add --since T"),
        (("vms.csv", "--format", "skypilot", "--gpu", "L4", "--since", "May"), "--since 'May' is not a time"),
        (("vms.csv", "--format", "azure"), "vms.csv: line 2: there is no column 'productName', so this is not azure"),
        (("none.csv", "--format", "aws"), "none.csv cannot be read (No such file or directory)"),
    ],
)
def test_what_names_no_one_price_is_refused(
    files: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    """Never a silent pick."""
    file, *others = arguments
    code, out, err = said(capsys, "import", files / file, "--pool", "h", *others)

    assert code in {1, 2}
    assert out == ""
    assert sentence in err
