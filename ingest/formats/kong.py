"""Kong's logging plugins on a route with AI plugins: the request, and below `ai` an object for each plugin that called a model.

What is decided here:

- An event is the call that was proxied. Where only a transforming plugin called a model, it is that call. Counts of several
  plugins are of several models and are not added: the others' are missing from the event.
- Old and new names of one count (`prompt_token`, `prompt_tokens`) are twins: one is read.
- Counts hold what was cached, and nothing says how much that was: all of it counts as uncached, and `partial` says so.
- An answer from Kong's cache used no GPU: one request without tokens. So is a request that Kong itself refused.
- OpenAI's protocol, spoken to an address that is not OpenAI's, is own GPUs. Of several tries the last one answered.
- `cost` is Kong's own sum, and is not read; payloads are not read either.
- Identity is the consumer, which Kong authenticated; one that is named by a mail address is known by its id. Addresses of
  clients are not read.
"""

from __future__ import annotations

from apportion.config.mapping import TimeSpec
from ingest.formats import conversions as to
from ingest.formats import dialects, gateways
from ingest.formats.native import Keys, Native
from ingest.kinds import USAGE

_END = TimeSpec(column="started_at", path=("started_at",), format="epoch_ms", zone=None)
_PLUGINS = ("proxy", "ai-proxy", "ai-proxy-advanced", "ai-request-transformer", "ai-response-transformer")
"""Who may call a model; the first one that did is the event's."""

_TRIES = 6
"""Kong's default is five retries."""

_VALUES: dict[str, tuple[Keys, ...]] = {
    "prompt_given": (("usage", "prompt_tokens"), ("usage", "prompt_token")),
    "completion_given": (("usage", "completion_tokens"), ("usage", "completion_token")),
    "asked_for": (("meta", "request_model"),),
    "served": (("meta", "response_model"),),
    "upstream": (("meta", "provider_name"),),
    "cache": (("cache", "cache_status"),),
    "mode": (("meta", "request_mode"),),
    "first_ms": (("usage", "time_to_first_token"),),
}
"""What each plugin's object says; the first place that holds a value wins."""


def _name(value: str, plugin: int, place: int) -> str:
    return f"{value}_{plugin}_{place}"


def _of(value: str, plugin: int) -> str:
    """SQL of one plugin's value."""
    return f"coalesce({', '.join(_name(value, plugin, place) for place in range(len(_VALUES[value])))}, NULL)"


def _chosen(value: str) -> str:
    """SQL of the value of the plugin whose call the event is."""
    return f"CASE plugin {' '.join(f'WHEN {number} THEN {_of(value, number)}' for number in range(len(_PLUGINS)))} END"


def _called(plugin: int) -> str:
    return f"coalesce({', '.join(_of(value, plugin) for value in ('prompt_given', 'completion_given', 'served', 'asked_for'))})"


def _person(name: str) -> str:
    """A consumer's name, unless it is a mail address."""
    return "" if "@" in name else name


KONG = Native(
    name="kong",
    kind=USAGE,
    signatures=((("ai",), ("latencies",), ("started_at",), ("request",)),),
    time_form="epoch milliseconds in started_at",
    found={
        "request_id": ("request", "id"),
        "code": ("response", "status"),
        "started": ("started_at",),
        "elapsed": ("latencies", "request"),
        "consumer_name": ("consumer", "username"),
        "consumer_custom": ("consumer", "custom_id"),
        "consumer_id": ("consumer", "id"),
        **{f"target_{number}": ("tries", str(number), "hostname") for number in range(_TRIES)},
        **{f"target_ip_{number}": ("tries", str(number), "ip") for number in range(_TRIES)},
        **{f"port_{number}": ("tries", str(number), "port") for number in range(_TRIES)},
        **{
            _name(value, number, place): ("ai", plugin, *keys)
            for number, plugin in enumerate(_PLUGINS)
            for value, places in _VALUES.items()
            for place, keys in enumerate(places)
        },
    },
    tags={
        "workspace": (("workspace_name",),),
        "route": (("route", "name"), ("route", "id")),
        "service": (("service", "name"), ("service", "id")),
    },
    sealed={"consumer_name": _person, "consumer_custom": _person},
    steps=(
        {
            "plugin": f"CASE {' '.join(f'WHEN {_called(number)} IS NOT NULL THEN {number}' for number in range(len(_PLUGINS)))} END",
            "host": "coalesce("
            + ", ".join(
                f"coalesce(target_{number}, target_ip_{number}) || coalesce(':' || port_{number}, '')"
                for number in reversed(range(_TRIES))
            )
            + ")",
        },
        {value: _chosen(value) for value in _VALUES},
        {
            "who": dialects.provider("upstream", "host"),
            "hit": "coalesce(lower(cache) = 'hit', false)",
            "prompt": to.integer("prompt_given"),
            "completion": to.integer("completion_given"),
        },
    ),
    fields={
        "event_id": to.quoted("request_id"),
        "source": to.quoted("'kong'"),
        "occurred_at": to.time(gateways.end_ms("started", "elapsed"), _END),
        "model": to.quoted("coalesce(served, asked_for)"),
        "provider": to.quoted("who"),
        "replica": to.quoted("CASE WHEN who = 'self' THEN host END"),
        "principal": to.quoted(
            "coalesce(CASE WHEN NOT contains(consumer_name, '@') THEN consumer_name END, "
            "CASE WHEN NOT contains(consumer_custom, '@') THEN consumer_custom END, consumer_id)"
        ),
        "uncached_input_tokens": "CASE WHEN NOT hit THEN prompt END",
        "output_tokens": "CASE WHEN NOT hit THEN completion END",
        "ttft_ms": gateways.milliseconds("first_ms", "NOT hit AND mode = 'stream'"),
        "duration_ms": gateways.milliseconds("elapsed"),
        "status": to.quoted(gateways.status("code")),
        "usage_quality": gateways.quality("hit", "true", "prompt", "completion"),
    },
)
