"""The hardware catalog: dense peaks of known formats and sources, or none."""

from __future__ import annotations

import pytest

from apportion.catalog import hardware
from apportion.domain.errors import InputError

HEADER = ",".join(hardware.HARDWARE_COLUMNS)
PEAKS = ",".join(hardware.PEAK_COLUMNS)
CARD = "X1,Maker,Arch,PCIe,85899345920,reported,2000000000000,350,,,high,a datasheet,"


def read(*peaks: str, cards: tuple[str, ...] = (CARD,)) -> dict[str, hardware.Hardware]:
    return dict(hardware.read("\n".join([HEADER, *cards]), "\n".join([PEAKS, *peaks])))


def test_the_packaged_catalog_says_what_datasheets_say_of_an_h100() -> None:
    """An H100 SXM has 989.4 dense TFLOPS in bf16, 3.35 TB/s and 79.1 GiB, to the byte that its driver reports."""
    card = hardware.find("H100_SXM")

    assert card is not None
    assert (card.bf16_flops, card.fp8_flops, card.int8_ops, card.fp4_flops) == (
        989_400_000_000_000,
        1_979_000_000_000_000,
        1_979_000_000_000_000,
        None,
    )
    assert (card.memory_bytes, card.bandwidth_bytes_s, card.tdp_w) == (84_932_978_278, 3_350_000_000_000, 700)
    assert (card.provisioned_w, card.embodied_g_co2e) == (1730, 164_000)


def test_every_packaged_row_has_a_source_and_a_confidence() -> None:
    """No figure of the catalog is anonymous, and nothing but a preliminary GPU lacks a bf16 peak."""
    cards = hardware.hardware().values()

    assert len(cards) >= 27
    assert all(card.source and card.confidence in {"high", "medium", "low"} for card in cards)
    assert [card.id for card in cards if card.bf16_flops is None] == ["RUBIN_VR_NVL72"]


def test_no_packaged_peak_looks_sparse() -> None:
    """fp8 is twice bf16 on every GPU of the catalog, up to the rounding of datasheets."""
    assert [doubt for card in hardware.hardware().values() for doubt in hardware.doubts(card)] == []


def test_a_sparse_figure_taken_for_dense_is_doubted() -> None:
    """fp8 of four times bf16, as where a sparse figure was copied, gets a sentence with both numbers."""
    (card,) = read("X1,bf16,100,true,sheet", "X1,fp8,400,true,sheet").values()

    assert hardware.doubts(card) == (
        "X1: fp8 of 400000000000000 is not twice bf16 of 100000000000000; one of them may be a sparse figure",
    )


def test_a_peak_without_its_partner_is_not_doubted() -> None:
    """Where only one of the two formats is known there is nothing to compare."""
    (card,) = read("X1,fp8,400,true,sheet").values()

    assert hardware.doubts(card) == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("X1,bf16,100,false,sheet", "peaks.csv:2: dense is 'false'; only dense peaks are kept"),
        ("X1,bf16,100,,sheet", "peaks.csv:2: dense is ''"),
        ("X1,,100,true,sheet", "peaks.csv:2: dtype is '', not one of bf16, fp8, int8, fp4"),
        ("X1,bf16,100,true,", "peaks.csv:2: source is empty"),
        ("X1,bf16,many,true,sheet", "peaks.csv:2: tera_ops is 'many', not a number"),
        ("X1,bf16,0,true,sheet", "peaks.csv:2: tera_ops is '0', not a number above zero"),
        ("X1,bf16,NaN,true,sheet", "peaks.csv:2: tera_ops is 'NaN'"),
        ("X1,bf16,100", "peaks.csv:2: has 3 cells, and the header 5"),
        ("X2,bf16,100,true,sheet", "peaks.csv: X2 is in no row of hardware.csv"),
    ],
)
def test_a_peak_that_does_not_say_what_it_is_does_not_load(line: str, said: str) -> None:
    """Dense, format and source are mandatory, and a peak belongs to a GPU; the problem names file and line."""
    with pytest.raises(InputError, match="peaks") as raised:
        read(line)

    assert str(raised.value).startswith(said)


def test_a_gpu_stands_once() -> None:
    """Two rows of one id, and two peaks of one format, are refused."""
    with pytest.raises(InputError, match="X1 stands twice"):
        read(cards=(CARD, CARD))
    with pytest.raises(InputError, match="X1 has two peaks in bf16"):
        read("X1,bf16,100,true,sheet", "X1,bf16,200,true,sheet")


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (CARD.replace("350", "-350"), "hardware.csv:2: tdp_w is '-350', not a whole number above zero"),
        (CARD.replace("reported", "guessed"), "hardware.csv:2: memory_basis is 'guessed'"),
        (CARD.replace("a datasheet", ""), "hardware.csv:2: source is empty"),
    ],
)
def test_a_card_with_a_bad_cell_does_not_load(card: str, said: str) -> None:
    """The problem names file, line, column and value."""
    with pytest.raises(InputError, match="hardware") as raised:
        read(cards=(card,))

    assert str(raised.value).startswith(said)


def test_another_header_does_not_load() -> None:
    """A file of other columns is refused whole."""
    with pytest.raises(InputError, match=r"peaks\.csv:1: the header is not gpu,dtype"):
        hardware.read(HEADER, "gpu,dtype")


@pytest.mark.parametrize(
    ("written", "first"),
    [("H100", "H100_NVL"), ("h100-sxm", "H100_SXM"), ("A100-80GB-SXM4", "A100_80GB_SXM"), ("MI300", "MI300X")],
)
def test_names_near_a_wrong_one_are_found(written: str, first: str) -> None:
    """What people write for a GPU leads to ids of the catalog."""
    assert first in hardware.nearest(written)


def test_a_name_like_nothing_has_no_neighbours() -> None:
    """Nothing is suggested where nothing is alike."""
    assert hardware.nearest("abacus") == ()
