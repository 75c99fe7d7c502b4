"""What the Kafka client is told, under the names that it gives its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apportion.config.environment import resolve
from apportion.config.sources import KafkaSource

Version = tuple[int, ...] | None
"""Of the broker, for one that cannot say it itself; None asks."""

POLL_RECORDS_MAX = 20_000
FETCH_BYTES_MAX = 32 * 1024 * 1024
PARTITION_FETCH_BYTES_MAX = 8 * 1024 * 1024
METADATA_MS = 15_000
"""How soon partitions and topics that were added are seen."""

FETCH_WAIT_MS = 200
RECONNECT_MS_MAX = 1_000
REQUEST_MS = 15_000


def reading(settings: KafkaSource, api_version: Version) -> dict[str, Any]:
    """Of a client that reads."""
    return {
        **connection(settings, api_version),
        "metrics_enabled": False,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "max_poll_records": POLL_RECORDS_MAX,
        "fetch_max_bytes": FETCH_BYTES_MAX,
        "max_partition_fetch_bytes": PARTITION_FETCH_BYTES_MAX,
        "fetch_max_wait_ms": FETCH_WAIT_MS,
    }


def connection(settings: KafkaSource, api_version: Version) -> dict[str, Any]:
    """Of any client. Raises: ConfigError when the password is not in the environment."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.brokers),
        "client_id": "apportion",
        "api_version": api_version,
        "bootstrap_timeout_ms": REQUEST_MS,
        "request_timeout_ms": REQUEST_MS,
        "metadata_max_age_ms": METADATA_MS,
        "reconnect_backoff_max_ms": RECONNECT_MS_MAX,
        "security_protocol": settings.security,
        "ssl_cafile": _text(settings.ca_file),
        "ssl_certfile": _text(settings.certificate_file),
        "ssl_keyfile": _text(settings.key_file),
    }
    if settings.mechanism:
        options |= {
            "sasl_mechanism": settings.mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": _Unsaid(resolve(settings.password)) if settings.password else None,
        }
    return options


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


class _Unsaid(str):
    """A password; the library writes its whole configuration into its debug log."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"
