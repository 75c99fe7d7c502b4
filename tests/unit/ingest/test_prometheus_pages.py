"""Pages that are not as they should be: nothing of a broken one is believed, and what is no number is in no sum."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.prometheus.exposition import SERIES_MAX, PageError
from tests.unit.ingest.pages import AT_NS, engines, gpus, read, target

ONE = b'vllm:generation_tokens_total{engine="0",model_name="m"} 5\n'


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (ONE + b'vllm:prompt_tokens_total{engine="0"} 4000', "ends within a line, so that not all of it arrived"),
        (ONE[:-1], "ends within a line"),
        (b"<!DOCTYPE html><html><body>login</body></html>\n", "is a web page, and no metrics; correct the path"),
        (b'[{"iter": 1}]\n', "is JSON, and no metrics; TensorRT-LLM has them at /prometheus/metrics"),
        (b"\x00\x01\x02" + ONE, "holds bytes that are no text"),
        (b"vllm:generation_tokens_total\n" + ONE, "has a line that is no sample: 'vllm:generation_tokens_total'"),
        (b'vllm:generation_tokens_total{engine="0} 5\n', "has a line that is no sample"),
        (b"vllm:generation_tokens_total{engine=0} 5\n", "has labels that cannot be read: 'engine=0'"),
        (b'vllm:generation_tokens_total{engine="0" model="m"} 5\n', "has labels that cannot be read"),
        (ONE * (SERIES_MAX + 1), f"has {SERIES_MAX + 1} series of engines and GPUs, more than any exporter"),
    ],
)
def test_a_broken_page_is_no_page(page: bytes, said: str) -> None:
    """Half of a page would be counters that went down."""
    with pytest.raises(PageError) as raised:
        read(page)

    assert said in str(raised.value)


def test_lines_that_nobody_reads_may_be_anything() -> None:
    """Only known metrics are looked at; what else a page holds is its own business."""
    page = b'# HELP x y\nunknown{a=b\n\xff\xfe 3\n\nvllm:generation_tokens_totals{engine="0"} 9\n' + ONE + b"# EOF\n"

    assert engines(page) == [{"engine": "0", "model": "m", "output_tokens": 5}]


@pytest.mark.parametrize(
    "line",
    [
        b'vllm:generation_tokens_total{engine="0",model_name="m"} 5 1792050000000\n',
        b'vllm:generation_tokens_total{engine="0",model_name="m"} 5.0 1792050000.5 # {trace_id="a} 7"} 1.0 1792050000\n',
        b'vllm:generation_tokens_total{engine="0",model_name="m"} 5 # {trace_id="x"} 1.0\n',
        b'vllm:generation_tokens_total{engine="0",model_name="m",} 5e0\r\n',
        b'vllm:generation_tokens_total{ engine = "0" , model_name = "m" }  5\n',
        b'vllm:generation_tokens_total{model_name="m",engine="0",x="a\\"} 9\\\\",y="}{,="}\t5\n',
    ],
)
def test_a_line_in_every_way_to_write_it(line: bytes) -> None:
    """Times, exemplars, commas, spaces and escapes change nothing; a sample is as old as its scrape. Read twice, it says the same."""
    asked = target()

    first, second = (asked.read(line, AT_NS) for _ in range(2))
    assert first.engine == second.engine == read(ONE).engine


def test_escaped_labels_are_what_they_stand_for() -> None:
    """Quotes, backslashes and line ends; other escapes are their letter."""
    (record,) = engines(b'vllm:generation_tokens_total{model_name="a\\"b\\\\c\\nd\\q"} 5\n')

    assert record["model"] == 'a"b\\c\ndq'


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NaN", "no_number"),
        ("+Inf", "no_number"),
        ("x", "no_number"),
        ("9" * 65, "no_number"),
        ("-1", "negative"),
        ("1e999999999", "out_of_range"),
        ("1e-999999999", "out_of_range"),
        ("1e30", "out_of_range"),
    ],
)
def test_what_is_no_number_is_unknown_and_counted(value: str, reason: str) -> None:
    """So is every sum it would be in: without one of its parts a counter would seem to begin again."""
    page = (
        f'vllm:request_success_total{{finished_reason="stop"}} {value}\nvllm:request_success_total{{finished_reason="length"}} 7\n'
        "vllm:generation_tokens_total 5\n"
    )
    found = read(page)

    assert engines(page) == [{"output_tokens": 5}]
    assert dict(found.ignored) == {reason: 1}


@pytest.mark.parametrize("value", ["NaN", "-Inf", "-0.5"])
def test_a_gauge_of_a_gpu_that_is_no_number_is_no_reading(value: str) -> None:
    """The others of the device are."""
    page = f'DCGM_FI_DEV_POWER_USAGE{{UUID="u"}} {value}\nDCGM_FI_DEV_FB_USED{{UUID="u"}} 1\n'

    assert gpus(page) == [{"gpu_uuid": "u", "memory_used_bytes": 2**20}]


def test_a_gauge_beyond_its_bounds_costs_only_itself() -> None:
    """A record would be rejected whole for a cache that is fuller than full."""
    assert engines("vllm:kv_cache_usage_perc 1.0001\nvllm:generation_tokens_total 5\n") == [{"output_tokens": 5}]


def test_a_series_that_stands_twice_counts_once() -> None:
    """The first of them."""
    found = read(ONE + ONE.replace(b" 5", b" 6"))

    assert [b'"output_tokens":5' in line for line in found.engine] == [True]
    assert dict(found.ignored) == {"same_series": 1}


def test_an_empty_page_says_nothing() -> None:
    """Nor does one of metrics that nobody reads."""
    assert read(b"").series == read(b"up 1\n").series == ()


@given(st.binary(max_size=300))
@example(b'vllm:generation_tokens_total{model_name="\xff"} 1\n')
@example(b"DCGM_FI_DEV_FB_USED{} 1\n")
def test_no_bytes_break_the_reader(page: bytes) -> None:
    """A page is read, or it is none."""
    try:
        read(page)
    except PageError:
        return


_WORD = st.text(st.sampled_from('ab"\\{}, \n'), max_size=6)


@given(st.dictionaries(st.sampled_from(["engine", "model_name", "x"]), _WORD), st.integers(0, 10**15))
def test_what_is_written_by_the_format_is_read_back(said: dict[str, str], tokens: int) -> None:
    """Labels of any text, and counts of any size."""

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    written = ",".join(f"{name}={quoted(text)}" for name, text in said.items())
    (record,) = engines(f"vllm:generation_tokens_total{{{written}}} {tokens}\n")

    assert (record.get("engine", ""), record.get("model", "")) == (said.get("engine", ""), said.get("model_name", ""))
    assert record["output_tokens"] == tokens
