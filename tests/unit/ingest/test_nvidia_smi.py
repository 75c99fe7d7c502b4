"""nvidia-smi's CSV: units behind names and values, readings that are not there, headers that come again, and local times."""

from __future__ import annotations

import pytest

from apportion.cli import main
from apportion.domain.errors import InputError
from ingest.formats.nvidia_smi import NvidiaSmi
from ingest.recognise import recognise
from tests.shared_data import shared
from tests.unit.ingest.desk import CONFIG, Desk

TABLE = """
[[sources]]
name = "smi"
format = "nvidia-smi"
zone = "Europe/Berlin"
constants = { node = "gpu-01" }
"""
RAW = """
[[sources]]
name = "nvml"
kind = "gpu"
format = "json"
time = { column = "ts" }
columns.gpu_uuid = "uuid"
columns.active_ratio = { column = "utilization_gpu", unit = "percent" }
columns.memory_used_bytes = "memory_used"
columns.power_watts = { column = "power_usage_mw", unit = "milliwatts" }
columns.energy_joules = { column = "total_energy_mj", unit = "millijoules" }
constants = { node = "gpu-01" }
"""
HEADER = "timestamp, uuid, utilization.gpu [%], memory.used [MiB], power.draw [W]\n"
ROW = "2026/10/15 13:00:00.012, GPU-a, 97 %, 10 MiB, 612.40 W\n"
LATER = "2026/10/15 13:00:15.012, GPU-a, 50 %, 20 MiB, 300.05 W\n"
FIGURES = ("active_ppm", "memory_used_bytes", "power_milliwatts")


@pytest.fixture
def smi(desk: Desk) -> Desk:
    """A desk that knows the host's zone and name."""
    desk.describe(TABLE)
    return desk


def landed(desk: Desk, text: str, *columns: str) -> list[object]:
    """Ingest a file. Returns: columns of what is in the ledger."""
    desk.read(desk.file(text.encode(), "gpu.csv"), "smi")
    return desk.samples(*(columns or FIGURES))


def test_the_sample_is_read_to_the_digit(desk: Desk) -> None:
    """Percent, MiB and W with their units behind them; under MIG the device's utilization is unknown, not idle."""
    desk.describe(TABLE.replace("Europe/Berlin", "UTC"))
    desk.clock.set(desk.clock.now().replace(month=11, day=14))
    outcome = desk.read(shared("samples", "nvidia_smi.csv"), "smi")

    assert (outcome.landed, outcome.rejected) == (2, 0)
    assert desk.samples("sampled_at", "gpu_uuid", "node", *FIGURES, "energy_millijoules") == [
        ("2026-11-13T00:00:00.012000Z", "GPU-11111111-2222-3333-4444-000000000000", "gpu-01", 970000, 76766248960, 612400, None),
        ("2026-11-13T00:00:00.014000Z", "GPU-11111111-2222-3333-4444-000000000003", "gpu-01", None, 37870370816, 288100, None),
    ]  # fmt: skip


def test_what_a_script_over_nvml_wrote_is_a_mapping(desk: Desk) -> None:
    """JSON lines in the driver's units need a table of columns, and no code."""
    desk.describe(RAW)
    desk.clock.set(desk.clock.now().replace(month=11, day=14))
    desk.read(shared("samples", "nvml_samples.jsonl"), "nvml")

    assert desk.samples("sampled_at", *FIGURES, "energy_millijoules") == [
        ("2026-11-13T00:00:00.000000Z", 970000, 76766543872, 612400, 5187300000000),
        ("2026-11-13T00:00:15.000000Z", 960000, 76766543872, 610100, 5187309170000),
    ]


def test_times_are_those_of_the_host(smi: Desk) -> None:
    """13:00 in Berlin in October is 11:00 UTC."""
    assert landed(smi, HEADER + ROW, "sampled_at", "node") == [("2026-10-15T11:00:00.012000Z", "gpu-01")]


@pytest.mark.parametrize(
    "row",
    [
        "2026/10/15 13:00:00.012, GPU-a, 97, 10, 612.40\n",
        "2026/10/15 13:00:00.012,GPU-a,97%,10MiB,612.40W\r\n",
        ROW[:-1],
    ],
)
def test_units_behind_values_may_be_left_out(smi: Desk, row: str) -> None:
    """`nounits` leaves them to the header."""
    assert landed(smi, HEADER + row) == [(970000, 10485760, 612400)]


@pytest.mark.parametrize(
    "word", ["[N/A]", "[Not Supported]", "N/A", "[Unknown Error]", "[GPU is lost]", "[Insufficient Permissions]", ""]
)
def test_what_is_not_known_is_absent(smi: Desk, word: str) -> None:
    """It is never zero, and never refused."""
    assert landed(smi, HEADER + f"2026/10/15 13:00:00.012, GPU-a, {word}, 10 MiB, {word}\n") == [(None, 10485760, None)]
    assert smi.rejections("reason") == []


def test_columns_may_stand_anywhere_and_others_beside_them(smi: Desk) -> None:
    """The header says which is which; what was not queried is unknown."""
    text = (
        "index, power.draw [W], name, utilization.memory [%], uuid, timestamp\n"
        "0, 612.40 W, NVIDIA H100 80GB HBM3, 55 %, GPU-a, 2026/10/15 13:00:00.012\n"
    )

    assert landed(smi, text, "gpu_uuid", *FIGURES) == [("GPU-a", None, None, 612400)]


@pytest.mark.parametrize(
    ("columns", "values", "power"),
    [
        ("power.draw.average [W]", "1.5 W", 1500),
        ("power.draw.instant [W], power.draw.average [W]", "1.5 W, 2.5 W", 1500),
        ("power.draw.average [W], power.draw [W]", "1.5 W, 2.5 W", 2500),
    ],
)
def test_power_is_read_from_the_column_there_is(smi: Desk, columns: str, values: str, power: int) -> None:
    """The plain one before its variants."""
    text = f"timestamp, gpu_uuid, {columns}\n2026/10/15 13:00:00.012, GPU-a, {values}\n"

    assert landed(smi, text, "power_milliwatts") == [power]


def test_a_header_that_comes_again_is_no_record(smi: Desk) -> None:
    """Runs appended to one file, with any line ends, and one that has begun nothing yet."""
    assert landed(smi, HEADER + ROW + HEADER.replace("\n", "\r\n") + LATER + HEADER) == [
        (970000, 10485760, 612400),
        (500000, 20971520, 300050),
    ]
    assert smi.totals()["received"] == 2


def test_a_file_of_headers_holds_nothing(smi: Desk) -> None:
    """The queries found no GPU."""
    assert landed(smi, HEADER + HEADER) == []
    assert smi.totals()["received"] == 0


def test_rows_of_another_query_are_refused(smi: Desk) -> None:
    """Behind a second header with other columns nothing is read by the first; behind the first one again it is."""
    other = "timestamp, uuid, memory.used [MiB], utilization.gpu [%], power.draw [W]\n"
    found = landed(smi, HEADER + ROW + other + LATER.replace("50 %, 20 MiB", "20 MiB, 50 %") + HEADER + LATER)

    assert found == [(970000, 10485760, 612400), (500000, 20971520, 300050)]
    assert smi.rejections("line", "reason", "detail") == [
        (
            4,
            "malformed",
            "it stands behind a second header with other columns; start a new file where the query changes",
        )
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2026/10/15 13:00:00.012, GPU-a, 97\n", "malformed"),
        ("2026/10/15 13:00:00.012, GPU-a, 97 %, 10 GiB, 612.40 W\n", "wrong_type"),
        ("2026/10/15 13:00:00.012, GPU-a, 612.40 W, 10 MiB, 97 %\n", "wrong_type"),
        ("2026/10/15 13:00:00.012, GPU-a, 101 %, 10 MiB, 612.40 W\n", "too_large"),
        ("2026/10/15 13:00:00.012, [Unknown Error], 97 %, 10 MiB, 612.40 W\n", "missing_field"),
        ("2026-10-15 13:00:00.012, GPU-a, 97 %, 10 MiB, 612.40 W\n", "bad_time"),
        ("[N/A], GPU-a, 97 %, 10 MiB, 612.40 W\n", "missing_field"),
        ("No devices were found\n", "malformed"),
    ],
)
def test_a_row_that_cannot_be_believed_stops_no_other(smi: Desk, row: str, reason: str) -> None:
    """It is rejected with its line, and those around it land."""
    assert len(landed(smi, HEADER + ROW + row + LATER)) == 2
    assert smi.rejections("line", "reason") == [(3, reason)]


def test_of_a_refused_row_only_what_is_read_is_kept(smi: Desk) -> None:
    """Other columns may say what nobody wants to keep."""
    landed(
        smi, "timestamp, uuid, process_name, power.draw [W]\n2026/10/15 13:00:00.012, GPU-a, secret --token x, -1 W\n"
    )

    assert [bytes(kept) for kept in smi.rejections("bytes")] == [b"2026/10/15 13:00:00.012, GPU-a,, -1 W"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("timestamp, index, utilization.gpu [%]\n", "'uuid' is missing among the columns timestamp, index, utilization.gpu; write"),
        ("uuid, utilization.gpu [%]\n", "'timestamp' is missing among the columns"),
        ("timestamp, uuid, name\n", "no figure is there among the columns"),
        ("timestamp, uuid, uuid, power.draw [W]\n", "'uuid' is there twice among the columns"),
        ("timestamp, uuid, memory.used [GiB]\n", r"memory.used is in \[GiB\], and is read in \[MiB\]; write the file with nvidia-smi --query"),
        ("timestamp, uuid, power.draw\n", r"power.draw is in \[\], and is read in \[W\]"),
        (ROW, "'timestamp' is missing among the columns"),
    ],
)  # fmt: skip
def test_a_file_with_other_columns_is_refused_with_the_query_to_use(smi: Desk, header: str, said: str) -> None:
    """A header that lacks what is needed, or counts otherwise; so is a file without one."""
    with pytest.raises(InputError, match=said):
        landed(smi, header + ROW)


def test_a_file_is_recognised_by_its_header(smi: Desk) -> None:
    """`--format auto` finds the table that says its zone."""
    found = recognise(smi.file((HEADER + ROW).encode()), list(smi.formats.values()))

    assert found is smi.formats["smi"]
    assert isinstance(found, NvidiaSmi)


def test_the_name_alone_says_no_zone(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody guesses where the host is: the format is one that a table has to describe."""
    config = desk.folder / "other.toml"
    config.write_text(CONFIG.replace("apportion.duckdb", "other.duckdb"))
    file = desk.file((HEADER + ROW).encode())

    assert main(["--config", str(config), "ingest", str(file), "--format", "nvidia-smi"]) == 2
    assert (
        'write a [[sources]] table with format = "nvidia-smi", and name that table with --format.'
        in capsys.readouterr().err
    )


def test_a_refused_row_is_tried_again_with_its_units(desk: Desk) -> None:
    """A wrong zone puts rows ahead of the clock; once the table is corrected, the quarantine lands them."""
    desk.describe(TABLE.replace("Europe/Berlin", "America/Los_Angeles"))
    desk.clock.set(desk.clock.now().replace(hour=11, minute=1))
    row = ROW.replace("2026/10/15", "2026/10/16")
    assert landed(desk, HEADER + row) == []
    desk.describe(TABLE)
    desk.clock.set(desk.clock.now().replace(day=16))
    outcome = desk.replay()

    assert outcome.landed == 1
    assert desk.samples("sampled_at", *FIGURES) == [("2026-10-16T11:00:00.012000Z", 970000, 10485760, 612400)]
