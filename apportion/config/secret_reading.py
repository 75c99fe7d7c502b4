"""Read secrets: never the secret itself, only the environment variable that holds it."""

from __future__ import annotations

import re

from apportion.config.environment import Secret, present
from apportion.config.tables import Table


def read(table: Table, key: str) -> Secret | None:
    """`{ env = "NAME" }`, or None where the key is not written; a variable that is not set yet is a warning."""
    secret: Secret | None = table.read(key, _secret, None)
    if secret and not present(secret):
        table.problems.warning(
            table.place(key), f"{secret.env} is not set in the environment; export it before `apportion serve`"
        )
    return secret


def _secret(value: object) -> Secret:
    name: object = value.get("env") if isinstance(value, dict) and set(value) == {"env"} else None
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        msg = 'must not hold the secret itself; name an environment variable, { env = "APPORTION_TOKEN" }'
        raise ValueError(msg)
    return Secret(name)
