"""Rooflines of the book's models on their GPUs: which rows there are, for when, and what a change of them reaches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from apportion.catalog import hardware
from apportion.config.load import load
from apportion.domain.period import FOREVER, Period
from apportion.ledger import book
from apportion.ledger.connection import Ledger
from metering.efficiency.coefficients import Serving, roofline
from metering.phase_coefficients import sync
from tests.blank import blank
from tests.unit.metering.models import document, model

OCTOBER, NOVEMBER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SERVING = Serving(weights="bf16", kv="bf16", batch=32, mean_context=2048, tensor_parallel=8)
PS = "uncached_input_ps, cache_read_ps, cache_write_ps, output_ps, reasoning_ps, context_as"

BASE = """
[ledger]
path = "l.duckdb"
billing_currency = "USD"
[[pools]]
id = "p"
gpu = "H100_SXM"
gpus = 8
effective_from = 2026-10-01T00:00:00Z
[[deployments]]
id = "d"
pool = "p"
gpus = 8
models = ["m"]
effective_from = 2026-10-01T00:00:00Z
[[rates]]
pool = "p"
component = "accelerator"
per_gpu_hour = "1"
effective_from = 2026-10-01T00:00:00Z
"""
MODEL = '[[models]]\nid = "m"\nconfig = "70b.json"\n'

Synced = Callable[[str], list[Period]]
Rows = list[tuple[Any, ...]]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger whose October and November are metered up to now."""
    for name, file in (("70b", "llama_3_1_70b"), ("8b", "llama_3_1_8b"), ("v3", "deepseek_v3")):
        (tmp_path / f"{name}.json").write_text(json.dumps(document(file)), encoding="utf-8")
    with Ledger(blank(tmp_path / "l.duckdb")) as opened:
        with opened.transaction() as session:
            session.do(
                "INSERT INTO metering.metered_hour SELECT hour, $now, 1 "
                "FROM unnest(range($start::TIMESTAMP, $now::TIMESTAMP, INTERVAL 1 HOUR)) AS elapsed (hour)",
                {"start": OCTOBER, "now": NOW},
            )
        yield opened


@pytest.fixture
def synced(ledger: Ledger, tmp_path: Path) -> Synced:
    """A config brought into the book, then into coefficients: the periods that changed, with no other hour dirty."""

    def run(text: str) -> list[Period]:
        file = tmp_path / "apportion.toml"
        file.write_text(text, encoding="utf-8")
        with ledger.transaction() as session:
            book.sync(session, load(file), NOW)
            session.do("DELETE FROM book.dirty_hour")
            return sync(session, NOW)

    return run


def rows(ledger: Ledger, columns: str) -> Rows:
    """Coefficients in order of deployment, model and time."""
    return ledger.session().rows(
        f"SELECT {columns} FROM metering.phase_coefficient JOIN book.deployment_key USING (deployment_no) "
        "JOIN book.model USING (model_no) ORDER BY deployment_id, model_id, effective_from"
    )


def dirty(ledger: Ledger) -> tuple[int, datetime | None, datetime | None]:
    """How many hours are dirty, the first and the last."""
    count, first, last = ledger.session().row(
        "SELECT count(*), min(charge_period_start), max(charge_period_start) FROM book.dirty_hour"
    )
    return count, first, last


def expected(gpu: str = "H100_SXM", name: str = "llama_3_1_70b", serving: Serving = SERVING) -> tuple[int, ...]:
    """The roofline's figures in the order of `PS`."""
    made = roofline(model(name), hardware.hardware()[gpu], serving)
    return tuple(getattr(made, column) for column in PS.split(", "))


def test_a_model_on_its_gpus_has_a_roofline(ledger: Ledger, synced: Synced) -> None:
    """One row with its method, confidence and every assumption; all hours of its time are metered again."""
    assert synced(BASE + MODEL) == [Period(OCTOBER, FOREVER)]

    assert rows(ledger, PS) == [expected()]
    ((deployment, name, method, start, end, confidence, inputs, failure),) = rows(
        ledger, "deployment_id, model_id, method, effective_from, effective_to, confidence, inputs, failure"
    )
    assert (deployment, name, method, confidence, failure) == ("d", "m", "roofline/1", "modelled", "")
    assert (start, end) == (OCTOBER, FOREVER)
    assert json.loads(inputs) == roofline(model("llama_3_1_70b"), hardware.hardware()["H100_SXM"], SERVING).inputs
    assert dirty(ledger)[:2] == (51 * 24, OCTOBER)


def test_a_second_run_changes_nothing(ledger: Ledger, synced: Synced) -> None:
    """Rows that are right stay, and no hour is metered again."""
    synced(BASE + MODEL)

    assert synced(BASE + MODEL) == []
    assert dirty(ledger) == (0, None, None)


def test_without_architectures_there_is_nothing(ledger: Ledger, synced: Synced) -> None:
    """Nothing is guessed from a model's name."""
    assert synced(BASE) == []
    assert rows(ledger, PS) == []


def test_a_change_reaches_the_hours_that_it_serves(ledger: Ledger, synced: Synced) -> None:
    """Another batch: every hour of the deployments that serve the model takes other coefficients."""
    synced(BASE + MODEL)
    wide = Serving(weights="bf16", kv="bf16", batch=64, mean_context=2048, tensor_parallel=8)

    assert synced(BASE + MODEL + "batch = 64\n") == [Period(OCTOBER, FOREVER)]
    assert rows(ledger, f"effective_from, effective_to, {PS}") == [(OCTOBER, FOREVER, *expected(serving=wide))]
    assert dirty(ledger)[0] > 0


def test_what_is_no_longer_described_goes(ledger: Ledger, synced: Synced) -> None:
    """Without its architecture a model has no roofline, and its hours are metered again."""
    synced(BASE + MODEL)

    assert synced(BASE) == [Period(OCTOBER, FOREVER)]
    assert rows(ledger, PS) == []


def test_other_hardware_is_another_row(ledger: Ledger, synced: Synced) -> None:
    """A pool that is replaced in November: each time has the peaks of its GPUs."""
    pool = '[[pools]]\nid = "p"\ngpu = "A100_80GB_SXM"\ngpus = 8\neffective_from = 2026-11-01T00:00:00Z\n'
    first = BASE.replace("gpus = 8\neffective_from", "gpus = 8\neffective_to = 2026-11-01T00:00:00Z\neffective_from", 1)
    synced(first + pool + MODEL)

    assert rows(ledger, f"effective_from, effective_to, {PS}") == [
        (OCTOBER, NOVEMBER, *expected()),
        (NOVEMBER, FOREVER, *expected("A100_80GB_SXM")),
    ]


def test_two_models_on_one_deployment_have_a_row_each(ledger: Ledger, synced: Synced) -> None:
    """Several models in one pool are weighed by their own size; one without a file has no row."""
    several = BASE.replace('models = ["m"]', 'models = ["m", "s", "x"]')
    synced(several + MODEL + '[[models]]\nid = "s"\nconfig = "8b.json"\n')

    assert rows(ledger, f"model_id, {PS}") == [("m", *expected()), ("s", *expected(name="llama_3_1_8b"))]


def test_a_large_deployment_is_taken_for_replicas(ledger: Ledger, synced: Synced) -> None:
    """Sixty-four GPUs hold a latent eight times to a replica, not sixty-four times; what is written wins."""
    large = BASE.replace("gpus = 8", "gpus = 64") + '[[models]]\nid = "m"\nconfig = "v3.json"\n'
    synced(large)
    ((assumed,),) = rows(ledger, "context_as")
    synced(large + "tensor_parallel = 1\n")
    ((written,),) = rows(ledger, "context_as")

    assert 7 * written < assumed <= 8 * written


def test_hardware_that_nobody_knows_is_a_failure_with_a_name(ledger: Ledger, synced: Synced) -> None:
    """The row is there, says why it cannot be used, and has neither figures nor confidence."""
    synced(BASE.replace("H100_SXM", "H100") + MODEL)

    ((failure, confidence, inputs, *made),) = rows(ledger, f"failure, confidence, inputs, {PS}")
    assert failure.startswith("the hardware catalog has no GPU H100; it has H100_")
    assert (confidence, inputs, made) == ("", "{}", [0] * 6)


@pytest.mark.parametrize("size", [10**6, 10**7])
def test_a_model_that_cannot_be_is_a_failure(ledger: Ledger, synced: Synced, tmp_path: Path, size: int) -> None:
    """Figures that metering could not multiply by an hour's tokens, or the ledger not hold, are no coefficients."""
    told = document("llama_3_1_70b") | {"hidden_size": size, "head_dim": size, "intermediate_size": size}
    (tmp_path / "70b.json").write_text(json.dumps(told), encoding="utf-8")
    synced(BASE + MODEL + "mean_context = 100000000\n")
    ((failure, output_ps),) = ledger.session().rows("SELECT failure, output_ps FROM metering.phase_coefficient")

    assert failure.startswith("by its config a token takes hours of a GPU")
    assert output_ps == 0


def test_rows_of_other_methods_stay(ledger: Ledger, synced: Synced) -> None:
    """A calibration is none of the roofline's business."""
    synced(BASE + MODEL)
    with ledger.transaction() as session:
        session.do(
            "INSERT INTO metering.phase_coefficient BY NAME "
            "SELECT * REPLACE ('regression/1' AS method, 'calibrated' AS confidence) FROM metering.phase_coefficient"
        )
    synced(BASE)

    assert rows(ledger, "method, confidence") == [("regression/1", "calibrated")]
