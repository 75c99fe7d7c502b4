"""Syncing the config into `book`: what is written, what is only ever added, what is remembered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from apportion.config.load import load
from apportion.domain.errors import ConfigError
from apportion.ledger.book import SyncReport, sync
from tests.unit.ledger.book_samples import BASE, HOURS, NOW, START, Book, changed, opened


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """An empty book beside metered hours."""
    with opened(tmp_path) as made:
        yield made


def test_the_first_sync_writes_everything(book: Book) -> None:
    """Ids become numbers, globs patterns, open ends 9999, and every metered hour is due again."""
    assert book.sync(BASE) == SyncReport(changed=True, dirty_hours=HOURS, reattribute=True, policy_version=1)
    forever = datetime(9999, 12, 31, tzinfo=UTC)
    assert book.rows("SELECT * FROM book.pool") == [(1, "L4", 8, START, forever)]
    assert book.rows(
        "SELECT deployment_no, pool_no, gpus, utilization, charge_to, role, match_node FROM book.deployment"
    ) == [(1, 1, 8, "active", "caller", "both", None)]
    model_no = book.value("SELECT model_no FROM book.model WHERE model_id = 'm'")
    assert book.rows("SELECT * FROM book.deployment_model") == [(1, model_no, START, forever)]
    assert book.rows("SELECT * FROM book.model_alias") == [("a", model_no, START, forever)]
    assert book.rows("SELECT pool_no, component, price_nano, unit, effective_from, effective_to FROM book.rate") == [
        (1, "accelerator", 1_000_000_000, "gpu_hour", START, forever)
    ]
    assert book.rows(
        "SELECT rule_no, principal_pattern, tag_patterns, team FROM book.directory_rule ORDER BY rule_no"
    ) == [
        (1, r"k\_1\%", "{}", "x"),
        (2, None, '{"env":"prod%"}', "y"),
    ]
    assert dict(book.rows("SELECT name, setting FROM book.setting WHERE name <> 'config_digest'")) == {
        "billing_currency": "USD", "epoch": "2020-01-01T00:00:00Z", "metered_from": "", "budgets_nano": "{}",
        "tag_allow_list": '["env","project"]',
    }  # fmt: skip
    assert book.rows(
        "SELECT policy_version, weight_scale, cache_read_weight, output_weight, min_coverage_ppm, sample_hold_us "
        "FROM book.policy"
    ) == [(1, 10, 1, 60, 900_000, 120_000_000)]


def test_the_same_config_changes_nothing(book: Book) -> None:
    """Also written otherwise: tables in another order, comments, a zero more, settings that are none of the ledger's."""
    book.sync(BASE)
    untouched = SyncReport(changed=False, dirty_hours=0, reattribute=False, policy_version=1)
    assert book.sync(BASE) == untouched
    assert book.sync(changed('per_gpu_hour = "1"', "per_gpu_hour = 1.0 # same")) == untouched
    assert book.sync(BASE + '[http]\nlisten = "127.0.0.1:9"\n[policy.weights]\noutput = 6.0\n') == untouched
    head, *tables = BASE.split("[[")
    last, policy = tables.pop().split("[policy]")
    assert book.sync("[[".join([head, last, *reversed(tables)]) + "[policy]" + policy) == untouched
    assert book.dirty()[0] == 0


def test_policies_are_only_added(book: Book) -> None:
    """A new version per change of content, also when it returns to what it was; other changes add none."""
    versions = [
        book.sync(text).policy_version
        for text in (
            BASE, changed('idle = "separate"', 'idle = "even"'), BASE, changed('team = "y"', 'team = "z"'),
            changed('idle = "separate"', 'utilization = "allocation"'),
        )
    ]  # fmt: skip
    assert versions == [1, 2, 3, 3, 4]
    kept = book.rows("SELECT policy_version, idle, digest FROM book.policy ORDER BY policy_version")
    assert [(version, idle) for version, idle, _ in kept] == [
        (1, "separate"),
        (2, "even"),
        (3, "separate"),
        (4, "separate"),
    ]
    assert kept[0][2] == kept[2][2]
    assert len({digest for _, _, digest in kept}) == 3


def test_every_change_is_remembered_with_before_and_after(book: Book) -> None:
    """Only rows that differ are kept, with the hours they reach; a rule that only moves is shown moving."""
    book.sync(BASE)
    book.forget("book.change")
    book.sync(changed('per_gpu_hour = "1"', 'per_gpu_hour = "2"'))
    ((subject, before, after, dirty_from, dirty_to),) = book.rows(
        "SELECT subject, before, after, dirty_from, dirty_to FROM book.change"
    )
    row = {
        "pool_id": "p",
        "component": "accelerator",
        "unit": "gpu_hour",
        "purchase": "on_demand",
        "currency": "",
        "source": "",
        "effective_from": "2026-10-01T00:00:00",
        "effective_to": "9999-12-31T00:00:00",
    }
    assert (subject, dirty_from, dirty_to) == ("book.rate", START, START + timedelta(hours=HOURS))
    assert json.loads(before) == [{**row, "price_nano": 1_000_000_000, "list_nano": 1_000_000_000}]
    assert json.loads(after) == [{**row, "price_nano": 2_000_000_000, "list_nano": 2_000_000_000}]

    book.forget("book.change")
    first, second = '  { principal = "k_1%", team = "x" },\n', '  { tag = { env = "prod*" }, team = "y" },\n'
    moved = changed('per_gpu_hour = "1"', 'per_gpu_hour = "2"').replace(first + second, second + first)
    assert book.sync(moved).reattribute
    ((subject, after, dirty_from),) = book.rows("SELECT subject, after, dirty_from FROM book.change")
    assert (subject, dirty_from) == ("book.directory_rule", None)
    assert [(rule["rule_no"], rule["team"]) for rule in json.loads(after)] == [(1, "y"), (2, "x")]


def test_numbers_outlive_their_rows(book: Book) -> None:
    """A pool that leaves and returns is the same pool."""
    book.sync(BASE)
    pool_no = book.value("SELECT pool_no FROM book.pool")
    book.sync(BASE.replace('"p"', '"q"'))
    assert book.value("SELECT pool_no FROM book.pool") != pool_no
    book.sync(BASE)
    assert book.value("SELECT pool_no FROM book.pool") == pool_no


def test_another_currency_is_refused_once_hours_are_metered(book: Book) -> None:
    """Amounts cannot change their name, and nothing of the sync is kept; before the first hour they may."""
    book.sync(BASE)
    with pytest.raises(
        ConfigError, match=r"apportion.toml:ledger.billing_currency: is EUR, .* in USD; write USD again"
    ):
        book.sync(changed('"USD"', '"EUR"'))
    assert book.sync(BASE).changed is False
    book.forget("metering.metered_hour")
    assert book.sync(changed('"USD"', '"EUR"')).changed is True


def test_ten_thousand_rules_sync_in_well_under_a_second(book: Book) -> None:
    """One statement writes them all; only the line that differs is remembered."""
    lines = [f"key-{number},team-{number % 50},,,CC-{number % 9},," for number in range(10_000)]
    header = "principal,team,team_name,project,cost_center,effective_from,effective_to\n"
    text = BASE.replace("[directory]\n", '[directory]\nfile = "teams.csv"\n')
    seconds = []
    for content in (lines, [*lines[:5000], "key-new,team-1,,,,,", *lines[5000:]]):
        (book.folder / "teams.csv").write_text(header + "\n".join(content))
        (book.folder / "apportion.toml").write_text(text)
        config = load(book.folder / "apportion.toml")
        with book.ledger.transaction() as session:
            began = time.perf_counter()
            assert sync(session, config, NOW).reattribute
            seconds.append(time.perf_counter() - began)
    assert book.value("SELECT count(*) FROM book.directory_rule") == 10_003
    after = book.value(
        "SELECT after FROM book.change WHERE subject = 'book.directory_rule' AND before = '[]' AND length(after) < 1000"
    )
    assert [rule["principal_pattern"] for rule in json.loads(after)] == ["key-new"]
    assert max(seconds) < 5, seconds
