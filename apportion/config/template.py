"""What `apportion init` writes: a config with every choice explained, and a directory, which work as they stand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from apportion.config.values import stamp
from apportion.domain.errors import UsageError
from apportion.domain.period import month_of

CONFIG_FILE: Final = "apportion.toml"
TEAMS_FILE: Final = "teams.csv"
START: Final = datetime(2026, 1, 1, tzinfo=UTC)

_CONFIG: Final = """\
# The config of apportion. `apportion check` says what is wrong with it, where, and how to put it right.
# Amounts are strings ("2.49"), times carry a zone, ranges are [effective_from, effective_to), and an
# effective_to left out means "until further notice". A change of price or size is a new row with a later
# effective_from; the old row gets an effective_to, and hours metered before it keep their price.

[ledger]
path = "apportion.duckdb"              # beside this file
billing_currency = "USD"               # cannot change once hours are metered
# epoch = 2020-01-01T00:00:00Z         # nothing that happened before it is accepted
# metered_from = @START@  # first hour to meter

# --- What you pay for ---------------------------------------------------------------------------------

[[pools]]                              # accelerators bought together
id = "h100-prod"
gpu = "H100_SXM"                       # hardware catalog id
gpus = 8
effective_from = @START@

[[rates]]                              # the rate card: price per GPU-hour, by component
pool = "h100-prod"
component = "accelerator"              # host | energy | storage | network | licence | ops | maintenance | colocation
per_gpu_hour = "2.49"                  # or per_gpu_second; per_month, per_year of the pool; catalog = "AWS/on_demand/us-east@2026-H1"
effective_from = @START@
# Reservations, plans on spend, owned hardware, energy, discounts, credits, other currencies, prices of APIs: deploy/COSTS.md
# of the project shows each.

# [[shared_costs]]                     # monthly amounts that no pool carries
# id = "platform-team"
# per_month = "12000.00"
# policy = "proportional"              # even | fixed, with shares = { search = "60", ads = "40" }
# effective_from = @START@

# --- What it serves -----------------------------------------------------------------------------------

[[deployments]]                        # a part of a pool; events find it by their model, or by name
id = "llama70b"
pool = "h100-prod"
gpus = 8
models = ["llama-3.1-70b"]
effective_from = @START@
# utilization = "capacity"             # instead of the policy's
# capacity_per_gpu_hour = 40_000_000   # weighted tokens at the service level
# owner = "search"                     # with charge_to = "owner" this team pays for all of it
# match = { namespace = "serving", node = "gpu-*" }  # tells deployments of one model apart; all given must match:
#                                      # cluster, replica, namespace of events; cluster, node, gpu_uuid, namespace, pod of samples
# role = "both"                        # prefill | decode

# [[model_aliases]]                    # names that requests use for a model
# alias = "gpt-internal"
# model = "llama-3.1-70b"

# --- How cost is shared -------------------------------------------------------------------------------

[policy]
utilization = "active"                 # GPU telemetry | capacity | allocation
phase_split = "weights"                # auto: the best method that has data; apportion explain says why
weights = { uncached_input = 1, cache_write = 1, cache_read = 0.1, output = 6, reasoning = 6 }
#                                      # also cache_read_host and cache_read_storage, where engines tell tiers of their caches
idle = "separate"                      # proportional | even | entitlement
over = "month"                         # hour: each hour settles by itself
min_coverage = 0.9                     # telemetry below it flags the hour
sample_hold_seconds = 120              # a GPU sample counts until the next, at most this long
unlogged_tolerance = 0.01              # what engines may count beyond the logs before it is __unattributed__
late_limit_days = 35                   # how late a live event may come
# observers = ["litellm", "vllm*", "otel*"]  # which source is believed of a call that several tell of

# [[entitlements]]                     # GPUs reserved for a team, for idle = "entitlement"
# pool = "h100-prod"
# team = "search"
# gpus = 4
# effective_from = @START@

# --- Who pays -----------------------------------------------------------------------------------------

[directory]                            # first match wins; `*` is any text, `?` one character
rules = [
  { namespace = "sandbox", team = "research", cost_center = "CC-300" },
  # { tag = { env = "staging" }, team = "platform" },
  # { tag = "team" },                  # the value of this tag is the team
]
file = "teams.csv"                     # after the rules above: one principal per line
cost_centers = { __idle__ = "CC-000", __overhead__ = "CC-000" }
# tags = ["env"]                       # keep further tags besides `project` and those that rules use

# [budgets]                            # per month
# search = "5000.00"

# --- What serve does ----------------------------------------------------------------------------------

[http]
listen = "127.0.0.1:8321"              # /metrics and ingest
# metrics_listen = "0.0.0.0:9321"      # /metrics on a listener of its own
# token = { env = "APPORTION_TOKEN" }  # secrets stay in the environment; beyond loopback ingest needs one
# body_bytes_max = 33_554_432          # of one request, decompressed
# pending_bytes_max = 268_435_456      # of all requests that wait; beyond it senders are asked to come again

[prometheus]
max_label_sets = 5000                  # pairs of team and model with labels of their own; the rest is `other`

[schedule]
meter_every_seconds = 60
chargeback_at = "02:00"                # UTC
chargeback_dir = "chargeback"

# --- Where events come from ---------------------------------------------------------------------------
# One [[sources]] table each: how they arrive (`collector`), and what they say (`format`): usage and gpu are the
# canonical ones, litellm is what that gateway logs, and csv and json are described in columns below.

# [[sources]]                          # requests to /v1/litellm; the token says who sends
# name = "proxy"
# collector = "http"
# format = "litellm"
# token = { env = "PROXY_TOKEN" }      # every source its own
# accepts = ["litellm"]                # globs of the events' source; others are refused. Of any collector; all unless said
# events_per_second = 2_000            # beyond it the sender is asked to come again; no limit unless said

# [[sources]]                          # Kafka; positions are kept in the ledger
# name = "usage-topic"
# collector = "kafka"
# format = "usage"
# brokers = ["kafka:9092"]
# topics = ["llm-usage", "gpu-samples"]
# formats = { gpu-samples = "gpu" }    # topics that say something else
# format_header = "apportion-format"   # a message with this header names its format itself
# group = "apportion"                  # shared with other consumers, partitions are too
# start = "earliest"                   # latest: what a topic holds before the first run stays unread
# consumers = 1                        # side by side, at most as many as partitions
# batch_seconds = 1                    # how long messages wait to be landed together
# security = "SASL_SSL"                # PLAINTEXT unless said | SSL | SASL_PLAINTEXT
# mechanism = "SCRAM-SHA-512"          # of SASL: PLAIN | SCRAM-SHA-256
# username = "apportion"
# password = { env = "KAFKA_PASSWORD" }
#                                      # of TLS, as PEM: ca_file, certificate_file, key_file; the system's unless said

# [[sources]]                          # files that grow and rotate
# name = "engine-log"
# collector = "files"
# paths = ["/var/log/engine/*.jsonl"]  # relative ones are beside this file
# poll_seconds = 5                     # between two looks
# format = "usage"

# [[sources]]                          # exporters of engines and GPUs, scraped
# name = "metrics"
# collector = "prometheus"             # no format: metrics are known by their names
# targets = ["http://node-1:9400/metrics", "http://vllm-0:8000/metrics"]
# interval_seconds = 15                # 60 for a server, unless said
# families = ["dcgm", "amd", "vllm", "sglang", "tgi", "trtllm", "llamacpp"]  # or dynamo: a front end, instead of its engines
# constants = { cluster = "eu" }       # also node, deployment, namespace, pod, container, replica, model, gpu
# labels = { deployment = "app" }      # the same, and instance, each by the label that says it

# [[sources]]                          # the same from a Prometheus that scrapes them; missed hours are caught up with
# name = "prometheus"
# collector = "prometheus"
# server = "https://prometheus:9090"
# token = { env = "METRICS_TOKEN" }    # or username and password, of targets too; ca_file of who signed, the system's unless said
# match = '{job=~"vllm|dcgm"}'
# start = @START@       # how far back to begin, within late_limit_days; the hour of the first run unless said

# [[sources]]                          # GPUs of this host, asked of NVIDIA's driver; needs pip install 'apportion[nvml]'
# name = "gpus"
# collector = "nvml"                   # samples land as format = "gpu"
# interval_seconds = 15
# constants = { cluster = "eu-1", node = "gpu-01" }  # of every sample; node is the host's name unless said

# --- Exports of other systems, for `apportion ingest FILE --format gateway` ---------------------------
# The same keys beside a collector describe what arrives there, and another source may name this one as its format.
# Messages and requests have no lines and no header: they are json, with ids of their own.

# [[sources]]
# name = "gateway"
# kind = "usage"                       # gpu | engine
# format = "csv"                       # json: NDJSON or one array, with paths such as "usage.prompt_tokens"
# time = { column = "TIMESTAMP", format = "%Y-%m-%d %H:%M:%S.%f", zone = "UTC" }
# columns.principal = "Key"
# columns.uncached_input_tokens = "Prompt"
# columns.cache_read_tokens = "Cached"
# columns.output_tokens = "Completion"
# columns.duration_ms = { column = "Latency", unit = "s" }
# columns.tier = { column = "Tier", default = "standard" }
# delimiter = ";"                      # of CSV; a comma unless said
# minus = { uncached_input_tokens = "cache_read_tokens" }  # cached tokens are inside the prompt count
# constants = { model = "llama-3.1-70b" }  # also source, "file:gateway" unless said
# tags = { project = "Project" }
# event_id = "{file}:{line}"           # for records with no id of their own

# [[sources]]                          # nvidia-smi --query-gpu=timestamp,uuid,utilization.gpu,memory.used,power.draw --format=csv
# name = "smi"
# format = "nvidia-smi"
# zone = "Europe/Berlin"               # of the host, since nvidia-smi writes local times without one; "UTC" with TZ=UTC
# constants = { node = "gpu-01" }      # which host; also cluster, deployment, namespace, pod, container, gpu
"""

_TEAMS: Final = """\
principal,team,team_name,project,cost_center,effective_from,effective_to
key-search-*,search,Search,,CC-100,,
key-ads-*,ads,Advertising,,CC-200,,
"""


def write(directory: Path, *, effective_from: datetime = START) -> list[Path]:
    """Write the files into a directory, which is made if need be. Returns: their paths.

    Args:
        directory: where they go.
        effective_from: when the example's pool and prices begin; cut to the start of its month.
    Raises: UsageError when one of them exists, and then nothing is written.
    """
    start = stamp(month_of(effective_from))
    files = {directory / CONFIG_FILE: _CONFIG.replace("@START@", start), directory / TEAMS_FILE: _TEAMS}
    existing = [str(path) for path in files if path.exists()]
    if existing:
        msg = f"{', '.join(existing)}: exists, and init overwrites nothing; remove it, or name another directory"
        raise UsageError(msg)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        msg = f"{directory}: cannot be written ({error.strerror}); name a directory of yours"
        raise UsageError(msg) from error
    return list(files)
