"""Whatever stands in a config, it loads or is refused in sentences: nothing escapes as another error."""

from __future__ import annotations

import contextlib
import copy
import functools
import operator
import re
import tomllib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from apportion.config import load as loading
from apportion.config.model import Config
from apportion.domain.errors import ConfigError

FULL = """
[ledger]
path = "l"
billing_currency = "USD"
epoch = 2020-01-01T00:00:00Z
metered_from = 2026-10-01T00:00:00Z
[[pools]]
id = "p"
gpu = "L4"
gpus = 8
effective_from = 2026-10-01T00:00:00Z
effective_to = 2027-10-01T00:00:00Z
[[deployments]]
id = "d"
pool = "p"
gpus = 8
models = ["m"]
utilization = "capacity"
capacity_per_gpu_hour = 5
owner = "t"
charge_to = "owner"
role = "both"
match = { cluster = "c", node = "n*" }
effective_from = 2026-10-01T00:00:00Z
effective_to = 2027-10-01T00:00:00Z
[[rates]]
pool = "p"
component = "accelerator"
per_gpu_hour = "1"
effective_from = 2026-10-01T00:00:00Z
list = "2"
purchase = "spot"
currency = "EUR"
source = "a mail"
[[fx]]
currency = "EUR"
rate = "1.1"
effective_from = 2026-10-01T00:00:00Z
[[discounts]]
pools = ["p"]
components = ["host"]
percent = "12.5"
effective_from = 2026-10-01T00:00:00Z
[[commitments]]
id = "r"
kind = "reserved"
pools = ["p"]
gpus = 4
upfront = "100"
per_gpu_hour = "1"
currency = "EUR"
effective_from = 2026-10-01T00:00:00Z
effective_to = 2027-10-01T00:00:00Z
[[commitments]]
id = "v"
kind = "savings"
pools = ["p"]
per_hour = "5"
rates = { p = "0.5" }
effective_from = 2026-10-01T00:00:00Z
effective_to = 2027-10-01T00:00:00Z
[[assets]]
id = "a"
pool = "p"
gpus = 2
capex = "1000"
residual = "10"
life_months = 48
method = "annuity"
annual_rate = "0.08"
maintenance_per_year = "10"
colocation_per_month = "5"
effective_from = 2026-10-01T00:00:00Z
[[credits]]
id = "c"
amount = "50"
pools = ["p"]
effective_from = 2026-10-01T00:00:00Z
effective_to = 2027-10-01T00:00:00Z
[[shared_costs]]
id = "s"
per_month = "10"
policy = "fixed"
shares = { t = "1" }
effective_from = 2026-10-01T00:00:00Z
[[entitlements]]
pool = "p"
team = "t"
gpus = 1
effective_from = 2026-10-01T00:00:00Z
[[model_aliases]]
alias = "a"
model = "m"
[policy]
weights = { output = 6 }
min_coverage = 0.9
sample_hold_seconds = 120
[directory]
rules = [{ principal = "k", tag = { e = "p" }, team = "t" }, { tag = "team" }]
cost_centers = { __idle__ = "CC" }
tags = ["x"]
[budgets]
t = "5"
[http]
listen = "127.0.0.1:1"
token = { env = "PATH" }
body_bytes_max = 4096
pending_bytes_max = 8192
[schedule]
chargeback_at = "02:00"
[[sources]]
name = "x"
kind = "usage"
format = "json"
time = { column = "T", format = "%Y-%m-%d", zone = "UTC" }
columns = { output_tokens = { column = "O", default = 1 }, reasoning_tokens = "R", ttft_ms = { column = "L", unit = "s" } }
constants = { model = "m" }
event_id = "{file}:{line}"
tags = { project = "P" }
minus = { output_tokens = ["reasoning_tokens"] }
[[sources]]
name = "h"
collector = "http"
format = "litellm"
token = { env = "HOME" }
events_per_second = 100
accepts = ["litellm", "vllm-*"]
[[sources]]
name = "k"
collector = "kafka"
format = "j"
brokers = ["kafka:9092", "[::1]:9092"]
topics = ["a", "b"]
group = "g"
formats = { b = "gpu" }
format_header = "f"
start = "latest"
consumers = 2
batch_seconds = 0.5
security = "SASL_SSL"
mechanism = "PLAIN"
username = "u"
password = { env = "PATH" }
ca_file = "/dev/null"
[[sources]]
name = "j"
collector = "files"
format = "json"
paths = ["/var/log/*.log", "b/**/c?.log"]
poll_seconds = 2
kind = "usage"
time = { column = "T" }
columns = { output_tokens = "O", event_id = "i", model = "m" }
"""

ODD: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "x", "__x", "*", "a.b", "{", "%", "1e9", "2026-10-01T00:00:00Z", "0001-01-01T00:00:00+05:00"])
    | st.sampled_from([Decimal("NaN"), Decimal("Infinity"), Decimal("-0.1"), Decimal("1e-99"), Decimal("1E+99")])
    | st.sampled_from(["usage", "csv", "json", "j", "k", "http", "kafka", "a:1", "s3://a/b", "x" * 300, "/", "a/**b", "\0"])
    | st.text(max_size=5)
    | st.sampled_from([datetime(1, 1, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC), date(2026, 1, 1), time(1)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["column", "env", "id", "name", "format", "collector", "x"]), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a document."""
    steps = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [path] + [found for step, part in steps for found in places(part, (*path, step))]


DOCUMENT = tomllib.loads(FULL, parse_float=Decimal)
PLACES = [path for path in places(DOCUMENT) if path]


def loaded(document: dict[str, Any]) -> Config | ConfigError:
    """What a document gives."""
    with patch.object(loading, "_document", return_value=document):
        try:
            return loading.load(Path("apportion.toml"))
        except ConfigError as error:
            return error


def test_the_full_config_is_right() -> None:
    """What the other test breaks is whole to begin with."""
    assert isinstance(loaded(DOCUMENT), Config)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), ODD), min_size=1, max_size=3))
def test_every_value_is_taken_or_refused_in_sentences(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """Any value in any place gives a config, or problems that each have a place and a next step."""
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes:
        # An earlier change may have taken the place of a later one away.
        with contextlib.suppress(KeyError, IndexError, TypeError):
            target = functools.reduce(operator.getitem, path[:-1], document)
            target[path[-1]] = value
    found = loaded(document)

    if isinstance(found, ConfigError):
        for problem in found.problems:
            assert re.match(r"apportion\.toml:.*: .+", problem, re.DOTALL), problem
            assert ";" in problem, problem
