"""What sources owe each other and the listener: names, tokens, topics and formats that fit how they arrive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from apportion.config.environment import Secret
from apportion.config.globs import share_a_text
from apportion.config.mapping import Mapping
from apportion.config.services import Http
from apportion.config.sources import Source
from apportion.config.tables import Placed, Problems, listed

Row = Placed[Source]


def check(rows: Sequence[Row], http: Http, problems: Problems, http_place: str) -> None:
    """Note everything that single tables cannot show; `http_place` is that of `[http]`."""
    _names_differ(rows, problems)
    _arrive_whole(rows, problems)
    _accepted(rows, problems)
    _topics_once(rows, problems)
    _files_once(rows, problems)
    _devices_once(rows, problems)
    _pages_once(rows, problems)
    _speaks_for(rows, problems)
    _tokens_differ(rows, http, problems, http_place)
    tokens = [row for row in rows if row.item.http and row.item.http.token]
    if not (http.listen.loopback or http.token or tokens):
        problems.warning(
            f"{http_place}.listen",
            f"is {http.listen.host}, which other machines reach, and no token is configured, so every event sent there is "
            'refused; add token = { env = "APPORTION_TOKEN" } to [http], or to a source with collector = "http"',
        )


def _names_differ(rows: Sequence[Row], problems: Problems) -> None:
    first: dict[str, Row] = {}
    for row in rows:
        seen = first.setdefault(row.item.name, row)
        if seen is not row:
            problems.error(f"{row.where}.name", f"{row.item.name!r} is the name of {seen.where} too; choose another")


def _mappings_of(row: Row, rows: Sequence[Row]) -> Iterator[tuple[str, Mapping]]:
    """Every mapping that a source's records are read with, and the key that says so."""
    source = row.item
    described = {other.item.name: other.item.mapping for other in rows if other.item.mapping}
    if source.format in described:
        yield "format", described[source.format]
    for topic, form in source.kafka.formats.items() if source.kafka else ():
        if form in described:
            yield f"formats.{topic}", described[form]


def _arrive_whole(rows: Sequence[Row], problems: Problems) -> None:
    """A message or a request is no file: it has neither a header line nor line numbers that stay the same."""
    for row in rows:
        if row.item.collector not in {"kafka", "http"}:
            continue
        unit = "message" if row.item.collector == "kafka" else "request"
        for key, mapping in _mappings_of(row, rows):
            if mapping.format != "json":
                problems.error(
                    f"{row.where}.{key}",
                    f"{mapping.name!r} is {mapping.format}, which begins with a header line, and a {unit} has none; send json, or collect "
                    "files",
                )
            placed = sorted({part.kind for part in mapping.event_id} & {"file", "line"})
            if placed:
                own = mapping is row.item.mapping
                problems.error(
                    f"{row.where}.{'event_id' if own else key}",
                    f"{'' if own else repr(mapping.name) + ' '}builds ids of {listed(f'{{{kind}}}' for kind in placed)}, which a "
                    f"{unit} has not, and one that is sent twice would be billed twice; build them of columns only",
                )


def _accepted(rows: Sequence[Row], problems: Problems) -> None:
    """Globs that a mapping's own constant source does not match would refuse every event."""
    for row in rows:
        accepts = row.item.accepts
        for _, mapping in _mappings_of(row, rows) if accepts else ():
            source = mapping.constants.get("source")
            if source and not any(share_a_text(source, glob) for glob in accepts):
                problems.error(
                    f"{row.where}.accepts",
                    f"is {listed(accepts)}, and {mapping.name!r} names every event's source {source!r}, so all would be "
                    f"refused; add that, or write constants.source",
                )


def _speaks_for(rows: Sequence[Row], problems: Problems) -> None:
    """A token without bounds can amend and void what another source reported."""
    senders = [row for row in rows if row.item.http and row.item.http.token]
    for row in senders if len(senders) > 1 else ():
        if not row.item.accepts:
            problems.warning(
                f"{row.where}.accepts",
                "is missing, and there are other senders: whoever has this token can send, amend and void events of any source; "
                'write whom it speaks for, such as accepts = ["NAME"]',
            )


def _topics_once(rows: Sequence[Row], problems: Problems) -> None:
    """Members of one group share partitions, so two sources would each get a part of both."""
    for first, second in combinations(rows, 2):
        one, other = first.item.kafka, second.item.kafka
        if not one or not other or one.group != other.group or not set(one.brokers) & set(other.brokers):
            continue
        shared = [topic for topic in other.topics if topic in one.topics]
        if shared:
            problems.error(
                f"{second.where}.topics",
                f"names {listed(shared)}, which {first.where} reads in the same group {one.group!r}; read each topic in one "
                "source, or write another group",
            )


def _files_once(rows: Sequence[Row], problems: Problems) -> None:
    for first, second in combinations(rows, 2):
        one, other = first.item.files, second.item.files
        shared = [path for path in other.paths if path in one.paths] if one and other else []
        if shared:
            problems.warning(
                f"{second.where}.paths",
                f"names {listed(shared)}, which {first.where} reads too, so each record arrives twice; keep one of them",
            )


def _devices_once(rows: Sequence[Row], problems: Problems) -> None:
    """All sources of this host's GPUs read the same devices."""
    reading = [row for row in rows if row.item.nvml]
    for row in reading[1:]:
        problems.error(
            f"{row.where}.collector",
            f"is nvml, by which {reading[0].where} reads every GPU of this host; keep one of them",
        )


def _pages_once(rows: Sequence[Row], problems: Problems) -> None:
    """Scrapes that overlap would make one counter go back, which looks as if it began again."""
    for first, second in combinations(rows, 2):
        one, other = first.item.prometheus, second.item.prometheus
        if not one or not other or not set(one.families) & set(other.families):
            continue
        shared = [url for url in other.targets if url in one.targets]
        if shared:
            problems.error(
                f"{second.where}.targets",
                f"names {listed(shared)}, which {first.where} scrapes too: two clocks make one counter go back and forth; keep one of "
                "them, or give them different families",
            )


def _tokens_differ(rows: Sequence[Row], http: Http, problems: Problems, http_place: str) -> None:
    """A token says who sends, so it cannot say two."""
    given: list[tuple[str, Secret]] = [(f"{http_place}.token", http.token)] if http.token else []
    given += [(f"{row.where}.token", row.item.http.token) for row in rows if row.item.http and row.item.http.token]
    first: dict[str, str] = {}
    for place, secret in given:
        seen = first.setdefault(secret.env, place)
        if seen != place:
            problems.error(
                place, f"{secret.env} is the token of {seen} too, and it says who sends; give each source its own"
            )
