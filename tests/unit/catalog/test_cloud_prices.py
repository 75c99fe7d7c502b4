"""Price files of clouds: their GPU instances, and nothing else of them."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from io import StringIO

import pytest

from apportion.catalog import cloud_prices, prices
from apportion.cli.catalog_options import PRICE_FORMATS
from apportion.domain.errors import InputError

SKYPILOT = """InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GPUInfo,Region,AvailabilityZone,Price,SpotPrice
p5.48xlarge,192.0,2048.0,H100,8.0,{'x': 1},us-east-1,us-east-1a,55.04,21.5
p5.48xlarge,192.0,2048.0,H100,8.0,{'x': 1},us-east-1,us-east-1b,55.04,
m5.large,2.0,8.0,,,,us-east-1,us-east-1a,0.096,0.03
g6.xlarge,4.0,16.0,L4,1.0,,us-east-1,us-east-1a,0.8048,nan
"""

AWS = """"FormatVersion","v1.0"
"Disclaimer","This pricing list is for informational purposes only."
"Publication Date","2026-10-01T00:00:00Z"
"Version","20261001000000"
"OfferCode","AmazonEC2"
"SKU","OfferTermCode","TermType","EffectiveDate","Unit","PricePerUnit","Currency","Location","Instance Type","Tenancy","Operating System","CapacityStatus","Pre Installed S/W","GPU","Region Code","MarketOption"
"A","J","OnDemand","2026-10-01","Hrs","55.0400000000","USD","US East (N. Virginia)","p5.48xlarge","Shared","Linux","Used","NA","8","us-east-1","OnDemand"
"B","J","OnDemand","2026-10-01","Hrs","60.0400000000","USD","US East (N. Virginia)","p5.48xlarge","Shared","Windows","Used","NA","8","us-east-1","OnDemand"
"C","J","OnDemand","2026-10-01","Hrs","58.0000000000","USD","US East (N. Virginia)","p5.48xlarge","Dedicated","Linux","Used","NA","8","us-east-1","OnDemand"
"D","J","Reserved","2026-10-01","Hrs","33.0000000000","USD","US East (N. Virginia)","p5.48xlarge","Shared","Linux","Used","NA","8","us-east-1","OnDemand"
"E","J","Reserved","2026-10-01","Quantity","100000","USD","US East (N. Virginia)","p5.48xlarge","Shared","Linux","Used","NA","8","us-east-1","OnDemand"
"F","J","OnDemand","2026-10-01","Hrs","0.0000000000","USD","US East (N. Virginia)","p5.48xlarge","Shared","Linux","Used","NA","8","us-east-1","OnDemand"
"H","J","OnDemand","2026-10-01","Hrs","31.4600000000","USD","US East (N. Virginia)","p5.48xlarge","Shared","Linux","Used","NA","8","us-east-1","CapacityBlock"
"I","J","OnDemand","2026-10-01","Hrs","66.0000000000","USD","US East (N. Virginia)","p5.48xlarge","Shared","Linux","Used","SQL Web","8","us-east-1","OnDemand"
"G","J","OnDemand","2026-10-01","Hrs","0.0960000000","USD","US East (N. Virginia)","m5.large","Shared","Linux","Used","NA","","us-east-1","OnDemand"
"""

ITEM = {
    "currencyCode": "EUR", "tierMinimumUnits": 0.0, "retailPrice": 12.29, "unitPrice": 12.29, "armRegionName": "westeurope",
    "location": "EU West", "effectiveStartDate": "2026-09-01T00:00:00Z", "meterName": "ND96isr H100 v5",
    "productName": "Virtual Machines NDsr H100 v5 Series", "skuName": "ND96isr H100 v5", "serviceName": "Virtual Machines",
    "unitOfMeasure": "1 Hour", "type": "Consumption", "armSkuName": "Standard_ND96isr_H100_v5",
}  # fmt: skip
OTHERS = [
    ITEM | {"skuName": "ND96isr H100 v5 Spot", "retailPrice": 3.6875},
    ITEM | {"skuName": "ND96isr H100 v5 Low Priority"},
    ITEM | {"productName": "Virtual Machines NDsr H100 v5 Series Windows"},
    ITEM | {"type": "Reservation", "reservationTerm": "1 Year", "retailPrice": 68900},
    ITEM | {"serviceName": "Storage"},
]


def read(text: str, format_name: str) -> list[cloud_prices.Offer]:
    """The offers of a text."""
    return cloud_prices.read(StringIO(text), format_name)


def said(offers: list[cloud_prices.Offer]) -> list[tuple[object, ...]]:
    """What tells offers apart."""
    return [
        (
            offer.product,
            offer.gpu,
            offer.gpus,
            offer.region,
            offer.purchase,
            offer.price,
            offer.currency,
            offer.effective_from,
        )
        for offer in offers
    ]


def test_a_skypilot_catalog_has_on_demand_and_spot() -> None:
    """Zones of one price are one offer; instances without accelerator and absent spot prices are none."""
    assert said(read(SKYPILOT, "skypilot")) == [
        ("p5.48xlarge", "H100", 8, "us-east-1", "on_demand", Decimal("55.04"), "USD", ""),
        ("p5.48xlarge", "H100", 8, "us-east-1", "spot", Decimal("21.5"), "USD", ""),
        ("g6.xlarge", "L4", 1, "us-east-1", "on_demand", Decimal("0.8048"), "USD", ""),
    ]


def test_an_aws_offer_file_has_shared_linux_on_demand() -> None:
    """Behind five lines of metadata; other systems, software, tenancies, terms, capacity blocks, free lines and instances without GPU are left out."""
    assert said(read(AWS, "aws")) == [
        ("p5.48xlarge", "", 8, "us-east-1", "on_demand", Decimal("55.0400000000"), "USD", "2026-10-01")
    ]


def test_azure_prices_are_read_from_the_answer_and_from_a_table() -> None:
    """The API's JSON and a CSV of its fields say the same; Windows, low priority, reservations and other services are left out."""
    expected = [
        (
            "Standard_ND96isr_H100_v5",
            "",
            None,
            "westeurope",
            "on_demand",
            Decimal("12.29"),
            "EUR",
            "2026-09-01T00:00:00Z",
        ),
        ("Standard_ND96isr_H100_v5", "", None, "westeurope", "spot", Decimal("3.6875"), "EUR", "2026-09-01T00:00:00Z"),
    ]
    table = "\n".join(
        [",".join(ITEM), *(",".join(map(str, item.values())) for item in [ITEM, *OTHERS] if len(item) == len(ITEM))]
    )

    assert said(read(json.dumps({"Items": [ITEM, *OTHERS]}), "azure")) == expected
    assert said(read(table, "azure")) == expected


def test_a_price_list_of_ones_own_has_the_columns_of_the_packaged_one() -> None:
    """So that prices kept like the catalog's become rates too."""
    text = ",".join(prices.COLUMNS) + "\nH100_SXM,Cloud,h8,eu,on_demand,2.5,2026-04,high,a contract,\n"

    assert said(read(text, "apportion")) == [("h8", "H100_SXM", 1, "eu", "on_demand", Decimal("2.5"), "USD", "")]


def test_an_instance_is_divided_by_its_gpus() -> None:
    """Exactly where nine decimals are enough, else to the even nano."""
    (first, *_) = read(SKYPILOT, "skypilot")

    assert first.per_gpu_hour_nano(Fraction(8)) == 6_880_000_000
    assert first.per_gpu_hour_nano(Fraction(3)) == 18_346_666_667


@pytest.mark.parametrize(
    ("text", "format_name", "sentence"),
    [
        (SKYPILOT.replace("AcceleratorName", "Accelerator"), "skypilot", "line 2: there is no column 'AcceleratorName', so this is not skypilot"),
        (SKYPILOT.replace("55.04", "dear"), "skypilot", "line 2: Price is 'dear', not a number"),
        (SKYPILOT.replace("55.04", "-1"), "skypilot", "line 2: Price is '-1', not a number"),
        (AWS.replace('"55.0400000000"', '"x"'), "aws", "line 7: PricePerUnit is 'x'"),
        (SKYPILOT, "aws", "there is no price of a GPU instance in it"),
        ("", "azure", "there is no price of a GPU instance in it"),
        ("{", "azure", "this is not JSON"),
        ('{"Items": 1}', "azure", "there are no Items"),
        (",".join(prices.COLUMNS) + "\n,,,,,,,,,\n", "apportion", "line 2: as_of is ''"),
    ],
)  # fmt: skip
def test_a_file_of_another_format_is_refused(text: str, format_name: str, sentence: str) -> None:
    """With the line and what is wrong with it."""
    with pytest.raises(InputError) as raised:
        read(text, format_name)

    assert str(raised.value).startswith(sentence)


def test_the_command_line_offers_every_format() -> None:
    """The light list of options and the readers are the same."""
    assert PRICE_FORMATS == cloud_prices.FORMATS
