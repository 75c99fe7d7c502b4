"""A config is read whole: all of it, or every problem at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from apportion.config.load import load
from apportion.config.model import Config
from apportion.domain.errors import ConfigError
from apportion.domain.period import FOREVER, Period
from tests.shared_data import shared
from tests.unit.config.conftest import Loaded, Problems

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.fixture
def sample(tmp_path: Path) -> Config:
    """The config of the design, exactly as it stands there."""
    page = shared("DESIGN.md").read_text(encoding="utf-8")
    text = page.split("```toml\n", 1)[1].split("```", 1)[0]
    file = tmp_path / "apportion.toml"
    file.write_text(text, encoding="utf-8")
    return load(file)


def test_the_designs_config_works_as_it_stands(sample: Config, tmp_path: Path) -> None:
    """Amounts become nano, times aware, an absent end is forever, and nothing is warned about."""
    assert sample.warnings == ()
    assert sample.ledger.path == tmp_path / "apportion.duckdb"
    assert [(pool.id, pool.gpus, pool.effective) for pool in sample.pools] == [
        ("h100-prod", 8, Period(OCTOBER, FOREVER))
    ]
    assert [rate.price_nano for rate in sample.rates] == [2_490_000_000]
    assert [cost.per_month_nano for cost in sample.shared_costs] == [12_000_000_000_000]
    assert [(deployment.models, deployment.utilization) for deployment in sample.deployments] == [
        (("llama-3.1-70b",), None)
    ]
    assert sample.policy.weights == {
        "uncached_input": 1, "cache_write": 1, "cache_read": Decimal("0.1"), "output": 6, "reasoning": 6,
    }  # fmt: skip
    assert (sample.policy.min_coverage_ppm, sample.policy.sample_hold_us) == (900_000, 120_000_000)
    assert [(rule.principal, rule.tags, rule.team) for rule in sample.directory.rules] == [
        ("key-search-*", (), "search"),
        (None, (("team", "ads"),), "ads"),
    ]
    assert sample.tag_allow_list == {"project", "team"}


def test_what_is_left_out_has_a_default(loaded: Loaded) -> None:
    """The smallest config names a ledger and a currency."""
    config = loaded("")
    assert config.ledger.epoch == datetime(2020, 1, 1, tzinfo=UTC)
    assert config.ledger.metered_from is None
    assert (config.http.listen.host, config.http.listen.port) == ("127.0.0.1", 8321)
    assert config.prometheus.max_label_sets == 5000
    assert (config.schedule.meter_every_seconds, config.schedule.chargeback_at.hour) == (60, 2)
    assert (config.policy.idle, config.policy.over, config.policy.late_limit_days) == ("separate", "month", 35)
    assert config.tag_allow_list == {"project"}


def test_every_problem_is_told_at_once(problems: Problems) -> None:
    """Problems of different tables, of values, of keys and of rows together arrive in one error, each with its place."""
    found = problems(
        """
        colour = "red"
        [[pools]]
        id = "a"
        gpus = 0
        effective_from = 2026-10-01T00:00:00
        [[rates]]
        pool = "b"
        component = "accelerator"
        per_gpu_hour = "1.0000000001"
        effective_from = 2026-10-01T00:00:00Z
        effective_to = 2026-09-01T00:00:00Z
        [[rates]]
        pool = "b"
        component = "host"
        per_gpu_hour = "1"
        effective_from = 2026-10-01T00:00:00Z
        """,
        ledger="",
    )
    assert [problem.split(": ")[0] for problem in found] == [
        "apportion.toml:pools[0].gpu",
        "apportion.toml:pools[0].gpus",
        "apportion.toml:pools[0].effective_from",
        "apportion.toml:rates[0].per_gpu_hour",
        "apportion.toml:rates[0].effective_to",
        "apportion.toml:ledger.path",
        "apportion.toml:ledger.billing_currency",
        "apportion.toml:colour",
        "apportion.toml:rates[1].pool",
    ]
    assert all(";" in problem for problem in found)


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ("[polcy]\n", "polcy", "did you mean policy?"),
        ("[policy]\nidel = 'even'\n", "policy.idel", "did you mean idle?"),
        ("[policy.weights]\noutputs = 1\n", "policy.weights.outputs", "did you mean output?"),
        ("[[sources]]\nkind = 'gpu'\nzebra = 1\n", "sources[0].zebra", "known are"),
        (
            "[directory]\nrules = [{ principle = 'a', team = 't' }]\n",
            "directory.rules[0].principle",
            "did you mean principal?",
        ),
        ("[[deployments]]\nmatch = { nodes = 'a' }\n", "deployments[0].match.nodes", "did you mean node?"),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest_known(
    text: str, place: str, remedy: str, problems: Problems
) -> None:
    """A misspelt key is never ignored, wherever it stands."""
    assert any(f"apportion.toml:{place}: unknown key" in problem and remedy in problem for problem in problems(text))


def test_a_missing_file_names_the_next_step(tmp_path: Path) -> None:
    """Without a config the message says how to get one."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml: there is no config here; run `apportion init`"):
        load(tmp_path / "nowhere.toml")


def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    """A directory in the file's place is named, with the operating system's reason."""
    with pytest.raises(ConfigError, match=r"cannot be read .*; give this user access to it, or correct the path"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[ledger]\npath = \n", "apportion.toml:2:8: this is not TOML, invalid value; correct the line"),
        (b"[ledger]\n[ledger]\n", "apportion.toml:2:8: this is not TOML, cannot declare"),
        (b"a = 1\na = 2\n", "apportion.toml:2:6: this is not TOML, cannot overwrite a value"),
        (b"a = '\xff'\n", "is not UTF-8 text (byte 5); save it as UTF-8"),
        (b"a = " + b"9" * 5000 + b"\n", "this is not TOML: Exceeds the limit"),
    ],
)
def test_malformed_toml_gives_line_and_column(content: bytes, said: str, tmp_path: Path) -> None:
    """What the parser cannot read is told where it stands."""
    file = tmp_path / "apportion.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert said in str(raised.value)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    """Files saved by Windows editors load."""
    file = tmp_path / "apportion.toml"
    file.write_bytes(b'\xef\xbb\xbf[ledger]\r\npath = "l.duckdb"\r\nbilling_currency = "EUR"\r\n')
    assert load(file).ledger.billing_currency == "EUR"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[pools]\nid = 'a'\n", "apportion.toml:pools: is a table; write one [[pools]] table for each"),
        ("ledgers = 1\npolicy = 'x'\n", "apportion.toml:policy: is a string; write a table, [policy]"),
    ],
)
def test_a_table_of_the_wrong_shape_is_told(text: str, said: str, problems: Problems) -> None:
    """Single and double brackets are mixed up easily."""
    assert any(problem.startswith(said) for problem in problems("", ledger=text))


def test_the_resolved_config_is_plain_and_masks_secrets(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever prints it needs no types of ours, and no secret passes through."""
    monkeypatch.setenv("APPORTION_TOKEN", "hunter2")
    config = loaded(
        """
        [http]
        token = { env = "APPORTION_TOKEN" }
        [budgets]
        search = "12.5"
        [[pools]]
        id = "a"
        gpu = "L4"
        gpus = 1
        effective_from = 2026-10-01T00:00:00.5+02:00
        """
    )
    written = json.dumps(config.resolved())
    assert "hunter2" not in written
    resolved = config.resolved()
    assert resolved["budgets"] == {"search": "12.500000000"}
    assert resolved["pools"] == [
        {"id": "a", "gpu": "L4", "gpus": 1, "effective_from": "2026-09-30T22:00:00.500000Z", "effective_to": None}
    ]
