"""What can be asked for: one table, which requests are routed by and the OpenAPI document is written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ingest.formats.otlp_records import Signal

RECORDS: Final = "/v1/records/{format}"
DOCUMENT: Final = "/openapi.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path that takes records.

    Attributes:
        path: as it is shown and counted.
        summary: for people.
        format: of the records; empty where the path or an OTLP signal says.
        signal: of OTLP, or None.
    """

    path: str
    summary: str
    format: str = ""
    signal: Signal | None = None


ROUTES: Final = (
    Route(path="/v1/usage", format="usage", summary="Usage events"),
    Route(path="/v1/samples", format="gpu", summary="GPU samples"),
    Route(path="/v1/engine", format="engine", summary="Samples of serving engines"),
    Route(path="/v1/litellm", format="litellm", summary="What LiteLLM's generic_api callback sends"),
    Route(path=RECORDS, summary="Records in any format that explains itself, by its name"),
    Route(path="/v1/traces", signal="traces", summary="OTLP traces"),
    Route(path="/v1/metrics", signal="metrics", summary="OTLP metrics"),
    Route(path="/v1/logs", signal="logs", summary="OTLP logs"),
)

_PLAIN: Final = {route.path: route for route in ROUTES if route.path != RECORDS}
_ANY: Final = next(route for route in ROUTES if route.path == RECORDS)


def routed(path: str) -> tuple[Route, str] | None:
    """The route of a path, and the name of the format where the route has one; None where nothing is."""
    plain = _PLAIN.get(path)
    if plain is not None:
        return plain, plain.format
    before, _, name = path.rpartition("/")
    return (_ANY, name) if before == RECORDS.rpartition("/")[0] and name else None
