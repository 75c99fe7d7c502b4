"""Where the public traces and the reference arithmetic lie: the folder APPORTION_SHARED, else `shared` beside the checkout."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parent.parent


def shared(*parts: str) -> Path:
    """A path inside the shared folder. Skips the test where it is absent, and fails it there in CI."""
    folder = Path(os.environ.get("APPORTION_SHARED") or REPOSITORY.parent / "shared")
    path = folder.joinpath(*parts)
    if not path.exists():
        reason = f"{path} is absent; point APPORTION_SHARED at the folder that holds {'/'.join(parts)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def reference_arithmetic() -> ModuleType:
    """The reference arithmetic, which decides where words are unclear and which no product code may import."""
    spec = importlib.util.spec_from_file_location("reference_arithmetic", shared("oracle.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
