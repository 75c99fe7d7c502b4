"""Wrong values of every table around costs: each is one sentence with its place, in the words of the config and of bounded length."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.config.conftest import Problems

FROM = "2026-01-01T00:00:00Z"
TO = "2027-01-01T00:00:00Z"
DATED = {"effective_from": FROM, "effective_to": TO}
TABLES = {
    "rates": {"pool": '"p"', "component": '"host"', "per_gpu_hour": '"1"', "list": '"2"', "currency": '"USD"', **DATED},
    "commitments": {"id": '"c"', "kind": '"reserved"', "pools": '["p"]', "gpus": "4", "upfront": '"10"', "currency": '"USD"', **DATED},
    "assets": {"id": '"a"', "pool": '"p"', "gpus": "4", "capex": '"100"', "life_months": "48", "method": '"annuity"', "annual_rate": '"0.1"', **DATED},
    "credits": {"id": '"c"', "amount": '"10"', "pools": '["p"]', **DATED},
    "discounts": {"pools": '["p"]', "components": '["accelerator"]', "percent": '"10"', **DATED},
    "fx": {"currency": '"EUR"', "rate": '"1.1"', **DATED},
    "models": {"id": '"m"', "weight": '"0.5"', "adapters": '["a-*"]', "config": '"m.json"'},
    "downtime": {"deployment": '"d"', "gpus": "1", "cause": '"lost"', **DATED},
    "prices.overrides": {"provider": '"openai"', "model": '"m"', "daily": '"16:30-00:30"', "input": '"1"', "currency": '"EUR"', **DATED},
}  # fmt: skip
POOL = f'[[pools]]\nid = "p"\ngpu = "L4"\ngpus = 8\neffective_from = {FROM}\n'
WRONG = (
    "[[]]", "[{}]", "true", "07:32:00", "2026-01-01", "2026-01-01T00:00:00", "1969-01-01T00:00:00Z", "1e999999", "-1e30", "nan", "-inf",
    '"\\u0000"', '" "', f'"{"a" * 2000}"', f'["{"b" * 900}", "{"c" * 900}", "{"c" * 900}"]',
)  # fmt: skip


def told(problems: Problems, table: str, key: str, value: str) -> tuple[str, ...]:
    """The problems of a row with one other value."""
    row = TABLES[table] | {key: value}
    return problems(POOL + f"[[{table}]]\n" + "".join(f"{name} = {text}\n" for name, text in row.items()))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("value", WRONG)
def test_a_wrong_value_is_told_in_words(problems: Problems, tmp_path: Path, table: str, value: str) -> None:
    """Of each key: `file:key: what; what to do`, without a word of Python, and no longer than a few lines."""
    (tmp_path / "m.json").write_text("{}")
    for key in TABLES[table]:
        found = told(problems, table, key, value)
        assert any(f":{table}[0].{key}" in said or f":{table}[0]: " in said for said in found)
        for said in found:
            assert said.startswith("apportion.toml:")
            assert "; " in said
            assert len(said) <= 1510
            assert not {"Decimal(", "datetime.", "NoneType", "True", "False"} & set(said.split())


def test_a_number_where_a_word_belongs_is_repeated(problems: Problems) -> None:
    """As it was written, with every word that may stand there."""
    (problem,) = told(problems, "rates", "component", "5.5")
    assert "rates[0].component: is 5.5; write one of accelerator, host, energy, " in problem
    assert "and 1 more" not in problem


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "config: 'm.json' is an empty JSON object, which describes no model; give the config.json"),
        ([], "config: 'm.json' holds no JSON object; give the config.json"),
        (
            {"quant_method": "aqlm", "bits": 2},
            "weights: is missing, and the config.json has quantization_config with quant_method 'aqlm' and bits 2, of which",
        ),
        ({"quant_method": ["fp8"]}, "weights: is missing, and the config.json has quantization_config with quant_method a list"),
        ({"quant_method": "gptq", "bits": 3}, "quant_method 'gptq' and bits 3, of which the format of the weights is not known (known are"),
    ],
)  # fmt: skip
def test_a_config_that_does_not_say_is_told(problems: Problems, tmp_path: Path, document: object, said: str) -> None:
    """What is known of weights, and that `weights` settles it."""
    llama = {
        "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 9,
    }  # fmt: skip
    written = llama | {"quantization_config": document} if isinstance(document, dict) and document else document
    (tmp_path / "m.json").write_text(json.dumps(written))
    (problem,) = problems('[[models]]\nid = "m"\nconfig = "m.json"\n')
    assert problem.startswith("apportion.toml:models[0].")
    assert said in problem


def test_weights_settle_what_a_config_does_not_say(problems: Problems, tmp_path: Path) -> None:
    """A format that nobody knows is none where the row names one; the next problem is another."""
    (tmp_path / "m.json").write_text('{"model_type": "llama", "quantization_config": {"quant_method": "aqlm"}}')
    (problem,) = problems('[[models]]\nid = "m"\nconfig = "m.json"\nweights = "int4"\n')
    assert "hidden_size is missing" in problem or "is missing; give the config.json" in problem
