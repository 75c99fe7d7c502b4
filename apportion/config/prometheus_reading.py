"""Read the keys of a `[[sources]]` table with `collector = "prometheus"`."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from apportion.config import secret_reading, values
from apportion.config.kafka_reading import file_beside
from apportion.config.sources import FAMILIES, FAMILIES_ON_REQUEST, PLACES, PrometheusSource
from apportion.config.tables import Table, unknown

KEYS: Final = (
    "targets",
    "server",
    "match",
    "start",
    "interval_seconds",
    "families",
    "labels",
    "token",
    "username",
    "password",
    "ca_file",
)
"""Those that other tables have not; `constants` is of mappings, too."""
TARGETS_MAX: Final = 2_000
_SERVER_INTERVAL: Final = 60
_SCRAPE_INTERVAL: Final = 15
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_QUOTED: Final = r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`"""
_MATCHER: Final = rf"\s*[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*(?:{_QUOTED})\s*"
_MATCH: Final = re.compile(rf"\{{({_MATCHER}(?:,{_MATCHER})*),?\s*\}}", re.ASCII)
_OF_SERVER: Final = ("match", "start")


def read(table: Table, beside: Path) -> PrometheusSource:
    """Which exporters, or which server; exactly one of them."""
    nothing: tuple[str, ...] = ()
    no_time: datetime | None = None
    usual = PrometheusSource().families
    is_server = table.has("server") and not table.has("targets")
    made = PrometheusSource(
        targets=table.read("targets", _targets, nothing),
        server=table.read("server", _server, "") if table.has("server") else None,
        match=table.read("match", _match, ""),
        start=table.read("start", values.instant, no_time),
        interval_seconds=table.integer(
            "interval_seconds", 1, 3_600, _SERVER_INTERVAL if is_server else _SCRAPE_INTERVAL
        ),
        families=table.read("families", _families, usual),
        constants=_places(table.table("constants"), "value"),
        labels=_places(table.table("labels"), "label"),
        token=secret_reading.read(table, "token"),
        username=table.text("username") if table.has("username") else None,
        password=secret_reading.read(table, "password"),
        ca_file=file_beside(table, "ca_file", beside),
    )
    _one_way(table)
    _authorized(table, made)
    for key in made.constants.keys() & made.labels.keys():
        table.wrong("labels", f"names {key}, which constants name too; write it in one of them")
    return made


def _one_way(table: Table) -> None:
    if table.has("server") == table.has("targets"):
        said = "stands beside targets" if table.has("server") else "is missing, and so are targets"
        table.wrong(
            "server",
            f'{said}; write targets = ["http://host:9400/metrics"] to scrape exporters, or server = "http://prometheus:9090" to ask '
            "a Prometheus",
        )
    for key in _OF_SERVER:
        if table.has(key) and not table.has("server"):
            table.wrong(key, "is only for server: exporters tell of now, and of all they have; remove the key")


def _authorized(table: Table, made: PrometheusSource) -> None:
    if table.has("username") != table.has("password"):
        table.wrong("username", 'stands for one of two; write username and password = { env = "NAME" }, or neither')
    elif table.has("token") and table.has("username"):
        table.wrong("token", "stands beside username; write one way to be let in")
    urls = [*made.targets, *([made.server] if made.server else [])]
    if made.ca_file and urls and not any(url.startswith("https://") for url in urls):
        table.wrong("ca_file", "is for https, and no address here is; write https://, or remove the key")
    if (made.token or made.password) and any(url.startswith("http://") for url in urls):
        table.problems.warning(
            table.place("token" if made.token else "password"),
            "is sent as it is to addresses that begin with http://; write https:// where the way there is not yours alone",
        )


def _targets(given: object) -> tuple[str, ...]:
    written = tuple(map(_url, values.texts(given, '["http://node-1:9400/metrics"]')))
    if len(written) > TARGETS_MAX:
        msg = f"names {len(written)} pages; at most {TARGETS_MAX} are scraped by one source. Ask the Prometheus that scrapes them"
        raise ValueError(msg)
    first: dict[tuple[str, str], str] = {}
    for url in written:
        parts = urlsplit(url)
        seen = first.setdefault((parts.netloc.lower(), parse_qs(parts.query).get("model", [""])[0]), url)
        if seen != url:
            msg = (
                f"names {seen!r} and {url!r}: their samples would have one name, {parts.netloc}. Name one, or where pages of a router "
                "differ by model, write ?model=NAME"
            )
            raise ValueError(msg)
    return tuple(url if urlsplit(url).path.strip("/") else url.rstrip("/") + "/metrics" for url in written)


def _server(given: object) -> str:
    written = _url(values.text(given))
    if urlsplit(written).query or written.rstrip("/").endswith("/api/v1"):
        msg = f'is {written!r}; write the address that the paths of its API go behind, such as "http://prometheus:9090"'
        raise ValueError(msg)
    return written.rstrip("/")


def _url(written: str) -> str:
    parts = urlsplit(written)
    try:
        port: int | None = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or parts.fragment:
        msg = f'names {written!r}; write an address such as "http://node-1:9400/metrics"'
        raise ValueError(msg)
    if parts.username is not None:
        msg = 'holds a user in an address; write username, and password = { env = "NAME" }'
        raise ValueError(msg)
    if not written.isascii() or any(sign.isspace() for sign in written):
        msg = f"names {written!r}, which holds what no address does; write it percent-encoded"
        raise ValueError(msg)
    return written


def _match(given: object) -> str:
    written = values.text(given)
    found = _MATCH.fullmatch(written)
    if not found:
        msg = f"""is {written!r}; write label matchers in braces, such as '{{job=~"vllm|dcgm"}}'"""
        raise ValueError(msg)
    return found[1].strip()


def _families(given: object) -> tuple[str, ...]:
    written = values.texts(given, '["dcgm", "vllm"]')
    for name in written:
        if name not in FAMILIES:
            raise ValueError(unknown("family", name, FAMILIES))
    both = [name for name in written if name in FAMILIES_ON_REQUEST]
    engines = [name for name in written if name in {"vllm", "sglang", "trtllm"}]
    if both and engines:
        msg = (
            f"names {both[0]}, a front end, beside {engines[0]}, which may be an engine behind it: tokens would count twice. Read either; "
            "where they are of different fleets, write a source for each"
        )
        raise ValueError(msg)
    return written


def _places(table: Table, what: str) -> dict[str, str]:
    found = {}
    for place in table.written():
        said = table.text(place)
        if place not in PLACES:
            table.wrong(place, unknown("place", place, PLACES))
        elif what == "label" and said and not _LABEL.fullmatch(said):
            table.wrong(place, f'is {said!r}, which no label is called; write its name, such as "instance_node"')
        elif said:
            found[place] = said
    return found
