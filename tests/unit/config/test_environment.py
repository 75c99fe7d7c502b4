"""Secrets stay in the environment."""

from __future__ import annotations

import pytest

from apportion.config.environment import Secret, present, resolve
from apportion.domain.errors import ConfigError


def test_a_secret_is_read_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable's value at that time counts."""
    monkeypatch.setenv("APPORTION_TEST_SECRET", "one")
    secret = Secret("APPORTION_TEST_SECRET")
    assert (present(secret), resolve(secret)) == (True, "one")
    monkeypatch.setenv("APPORTION_TEST_SECRET", "two")
    assert resolve(secret) == "two"


@pytest.mark.parametrize("value", [None, ""])
def test_an_unset_secret_says_what_to_export(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset and empty are the same mistake."""
    monkeypatch.delenv("APPORTION_TEST_SECRET", raising=False)
    if value is not None:
        monkeypatch.setenv("APPORTION_TEST_SECRET", value)
    secret = Secret("APPORTION_TEST_SECRET")
    assert not present(secret)
    with pytest.raises(ConfigError, match=r"environment:APPORTION_TEST_SECRET: is not set, .*; export it"):
        resolve(secret)
