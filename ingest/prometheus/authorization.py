"""What a source's targets or server are sent to be let in."""

from __future__ import annotations

from apportion.config.environment import resolve
from apportion.config.sources import PrometheusSource
from ingest.prometheus.client import basic, bearer


def authorization(settings: PrometheusSource) -> str:
    """The header's value; empty where none is configured. Raises: ConfigError when a secret is not in the environment."""
    if settings.token:
        return bearer(resolve(settings.token))
    if settings.username and settings.password:
        return basic(settings.username, resolve(settings.password))
    return ""
