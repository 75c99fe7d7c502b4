"""Architectures of published models, from the facts of their config.json that decide the shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from apportion.config import huggingface
from apportion.domain.architecture import Architecture

FOLDER = Path(__file__).parents[2] / "golden" / "architectures"


def document(name: str) -> dict[str, object]:
    """The config.json of a model by its file name."""
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def model(name: str, **changed: object) -> Architecture:
    """The architecture of a model, with some fields of its file changed."""
    return huggingface.architecture({**document(name), **changed})


def llama(**changed: object) -> Architecture:
    """A small dense model with some fields changed."""
    small: Mapping[str, object] = {
        "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 100,
    }  # fmt: skip
    return huggingface.architecture({**small, **changed})
