"""Secrets by reference: the config holds the name of an environment variable, never its value."""

from __future__ import annotations

import os
from dataclasses import dataclass

from apportion.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that stays in the environment.

    Attributes:
        env: name of the variable that holds it.
    """

    env: str


def present(secret: Secret) -> bool:
    """Whether the variable is set to something."""
    return bool(os.environ.get(secret.env))


def resolve(secret: Secret) -> str:
    """The secret itself, read now. Raises: ConfigError when the variable is unset or empty."""
    found = os.environ.get(secret.env, "")
    if not found:
        problem = f"environment:{secret.env}: is not set, and the config refers to it; export it and start again"
        raise ConfigError([problem])
    return found
