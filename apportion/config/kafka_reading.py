"""Read the keys of a `[[sources]]` table with `collector = "kafka"`."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Final

from apportion.config import mapping, secret_reading, values
from apportion.config.sources import MECHANISMS, SECURITIES, STARTS, KafkaSource, Mechanism, Security
from apportion.config.tables import Table, listed, unknown

KEYS: Final = (
    "brokers",
    "topics",
    "group",
    "formats",
    "format_header",
    "start",
    "consumers",
    "batch_seconds",
    "security",
    "mechanism",
    "username",
    "password",
    "ca_file",
    "certificate_file",
    "key_file",
)
CONSUMERS_MAX: Final = 64
BATCH_SECONDS: Final = (Decimal("0.01"), Decimal(60))
"""Least and most: below it a commit costs more than its wait, above it figures come late for nothing."""

_BROKER: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:/\s,]+):(\d{1,5})", re.ASCII)
_TOPIC: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}", re.ASCII)
_SASL: Final = ("mechanism", "username", "password")
_TLS: Final = ("ca_file", "certificate_file", "key_file")


def read(table: Table, beside: Path, described: list[str]) -> KafkaSource:
    """Which topics of which brokers; `described` are the mappings that `formats` may name."""
    nothing: tuple[str, ...] = ()
    second: int | float = 1
    topics = table.require("topics", _topics, nothing)
    security = table.choice("security", SECURITIES, "PLAINTEXT")
    made = KafkaSource(
        brokers=table.require("brokers", _brokers, nothing),
        topics=topics,
        group=table.text("group", "apportion"),
        formats=_formats(table.table("formats"), topics, described),
        format_header=table.text("format_header", "apportion-format"),
        start=table.choice("start", STARTS, "earliest"),
        consumers=table.integer("consumers", 1, CONSUMERS_MAX, 1),
        batch_seconds=table.read("batch_seconds", _batch_seconds, second),
        security=security,
        mechanism=table.choice("mechanism", MECHANISMS) if table.has("mechanism") else None,
        username=table.text("username") if table.has("username") else None,
        password=secret_reading.read(table, "password"),
        ca_file=file_beside(table, "ca_file", beside),
        certificate_file=file_beside(table, "certificate_file", beside),
        key_file=file_beside(table, "key_file", beside),
    )
    _secured(table, security, made.mechanism)
    return made


def _brokers(given: object) -> tuple[str, ...]:
    written = values.texts(given, '["kafka:9092"]')
    for broker in written:
        found = _BROKER.fullmatch(broker)
        if not found or not 0 < int(found[1]) < 2**16:
            msg = f'names {broker!r}; write host:port, such as "kafka:9092"'
            raise ValueError(msg)
    return written


def _topics(given: object) -> tuple[str, ...]:
    written = values.texts(given, '["llm-usage"]')
    for topic in written:
        if not _TOPIC.fullmatch(topic):
            msg = (
                f"names {topic!r}, which no topic can be called; write letters, digits, points, underscores and hyphens, "
                "at most 249 (topics are named one by one, not by a pattern)"
            )
            raise ValueError(msg)
    return written


def _formats(table: Table, topics: tuple[str, ...], described: list[str]) -> dict[str, str]:
    known = (*mapping.NATIVE_NAMES, *described)
    found: dict[str, str] = {}
    for topic in table.written():
        form = table.text(topic)
        if topics and topic not in topics:
            table.wrong(topic, unknown("topic", topic, topics))
        if form and form not in known:
            table.wrong(topic, unknown("format", form, known))
        found[topic] = form
    return found


def _batch_seconds(given: object) -> int | float:
    least, most = BATCH_SECONDS
    number = values.exact(given, 3)
    if not least <= number <= most:
        msg = f"is {number}; write seconds from {least} to {most}"
        raise ValueError(msg)
    return int(number) if number == int(number) else float(number)


def file_beside(table: Table, key: str, beside: Path) -> Path | None:
    """A file that can be read, or None where the key is not written; a relative path is beside the config."""

    def convert(given: object) -> Path:
        path = beside / values.text(given)
        try:
            path.open("rb").close()
        except OSError as error:
            msg = f"{str(path)!r} cannot be read ({error.strerror}); correct the path, or give this user access to it"
            raise ValueError(msg) from None
        return path

    nothing: Path | None = None
    return table.read(key, convert, nothing)


def _secured(table: Table, security: Security, mechanism: Mechanism | None) -> None:
    """What goes with SASL and TLS stands there exactly where the connection has them."""
    sasl, tls = security.startswith("SASL"), security.endswith("SSL")
    if table.has("security") and table.raw("security") not in SECURITIES:
        return
    for key in _SASL:
        if sasl and not table.has(key):
            wanted = {"mechanism": f"one of {listed(MECHANISMS)}", "password": '{ env = "NAME" }'}.get(key, "the user")
            table.wrong(key, f"is missing, and security = {security} asks for it; write {wanted}")
        elif not sasl and table.has(key):
            secured = "SASL_SSL" if tls else "SASL_PLAINTEXT or SASL_SSL"
            table.wrong(key, f"is for SASL, and security is {security}; write security = {secured}, or remove the key")
    for key in _TLS:
        if not tls and table.has(key):
            secured = "SASL_SSL" if sasl else "SSL"
            table.wrong(key, f"is for TLS, and security is {security}; write security = {secured}, or remove the key")
    if table.has("key_file") and not table.has("certificate_file"):
        table.wrong(
            "key_file", "stands without certificate_file; name the certificate it belongs to, or remove the key"
        )
    if security == "SASL_PLAINTEXT" and mechanism == "PLAIN":
        table.problems.warning(
            table.place("security"),
            "is SASL_PLAINTEXT with mechanism PLAIN, which sends the password as it is; write SASL_SSL, or a SCRAM "
            "mechanism",
        )
