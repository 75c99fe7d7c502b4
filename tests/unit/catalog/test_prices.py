"""Public GPU prices: dated, sourced, and found by a reference that names one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from apportion.catalog import hardware, prices
from apportion.config.values import TEXT_MAX
from apportion.domain.errors import InputError

HEADER = ",".join(prices.COLUMNS)
LINE = "X1,Cloud,x1.large,us-east,on_demand,2.5,2026-04,high,a price page,"


def read(*lines: str) -> tuple[prices.ListPrice, ...]:
    return prices.read("\n".join([HEADER, *lines]))


def test_every_packaged_price_has_source_date_and_confidence() -> None:
    """No price is anonymous, each is of a GPU of the hardware catalog, and a reference names it alone."""
    found = prices.prices()

    assert len(found) >= 120
    assert all(price.source and price.as_of and price.confidence for price in found)
    assert all(len(price.citation) <= TEXT_MAX for price in found)
    assert {price.gpu for price in found} <= set(hardware.hardware())
    for price in found:
        assert prices.matching(price.reference, [other for other in found if other.gpu == price.gpu]) == (price,)


def test_the_cut_of_june_2025_is_in_the_catalog() -> None:
    """AWS listed a p5 instance at 98.32 until then, and at 55.04 since."""
    h100 = [price for price in prices.prices() if price.gpu == "H100_SXM"]
    before = prices.matching("AWS/on_demand/us-east@2025-05", h100)
    after = prices.matching("aws/on_demand/US-East/p5.48xlarge@2026-H1", h100)

    assert [price.usd_per_gpu_hour for price in (*before, *after)] == [Decimal("12.29"), Decimal("6.88")]
    assert after[0].citation.startswith(
        "6.88 USD per GPU-hour, AWS on_demand us-east p5.48xlarge, as of 2026-H1, confidence high (AWS list prices"
    )


def test_what_a_reference_leaves_out_asks_nothing() -> None:
    """Region, product and date narrow; without them every price of seller and kind fits."""
    found = read(
        LINE, LINE.replace("us-east", "eu"), LINE.replace("2026-04", "2026-05"), LINE.replace("on_demand", "spot")
    )

    assert len(prices.matching("Cloud/on_demand", found)) == 3
    assert len(prices.matching("Cloud/on_demand/us-east", found)) == 2
    assert len(prices.matching("Cloud/on_demand/x1.large/eu", found)) == 1
    assert len(prices.matching("Cloud/on_demand@2026-05", found)) == 1
    assert prices.matching("Cloud/on_demand/mars", found) == ()


@pytest.mark.parametrize("text", ["", "Cloud", "Cloud/", "/spot", "a/b@", "a/b@1@2", "a//c"])
def test_a_reference_of_another_form_is_refused(text: str) -> None:
    """The sentence says how to write one."""
    with pytest.raises(ValueError, match="write PROVIDER/KIND"):
        prices.matching(text, ())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (LINE.replace("on_demand", "cheap"), "prices.csv:2: kind is 'cheap'"),
        (LINE.replace("2.5", "0"), "prices.csv:2: usd_per_gpu_hour is 0"),
        (LINE.replace("2.5", "2.5e99"), "prices.csv:2: '2.5e99' is larger"),
        (LINE.replace("2.5", "dear"), "prices.csv:2: 'dear' is not an amount"),
        (LINE.replace("2026-04", "lately"), "prices.csv:2: as_of is 'lately'"),
        (LINE.replace("us-east", "us/east"), "prices.csv:2: region is 'us/east'"),
        (LINE.replace("a price page", ""), "prices.csv:2: source is empty"),
        (LINE.replace("high", "sure"), "prices.csv:2: confidence is 'sure'"),
        (LINE.replace("X1", ""), "prices.csv:2: gpu is empty"),
    ],
)
def test_a_price_that_cannot_be_read_does_not_load(line: str, said: str) -> None:
    """The problem names file, line, column and value."""
    with pytest.raises(InputError) as raised:
        read(line)

    assert str(raised.value).startswith(said)


def test_two_prices_of_one_reference_do_not_load() -> None:
    """Nobody could name either of them."""
    with pytest.raises(InputError, match=r"X1 has two prices Cloud/on_demand/us-east/x1\.large@2026-04"):
        read(LINE, LINE.replace("2.5", "3"))
