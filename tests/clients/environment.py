"""The environment of the real clients, LiteLLM's proxy and OpenTelemetry's SDK: never the product's, whose versions it would decide.

    python -m tests.clients.environment        # make it, where it is not there yet

It is in `APPORTION_CLIENTS_HOME`, else in the user's cache folder, by the digest of requirements/litellm.txt: another content is another
environment, and the same one is made once. Without it the tests are skipped, and fail in CI.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements" / "litellm.txt"


def home() -> Path:
    """Where the environment is or would be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("APPORTION_CLIENTS_HOME") or cache / "apportion" / "litellm")
    return folder / hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]


def python() -> Path:
    """Its interpreter, or the end of the test."""
    if (home() / "complete").exists():
        return home() / "bin" / "python"
    reason = (
        "LiteLLM and OpenTelemetry's SDK are not installed; `make clients` does that, in an environment of their own"
    )
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def make() -> None:
    """Install exactly what the requirement file says. One that was begun and not finished is made anew."""
    folder = home()
    if (folder / "complete").exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    install = ["install", "--quiet", "--no-compile", "--require-hashes", "--no-deps", "--requirement", REQUIREMENTS]
    subprocess.run([folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", *install], check=True)
    (folder / "complete").touch()


if __name__ == "__main__":
    make()
    print(home())
