"""How much of a core scraping takes: pages that lie on loopback → samples in the ledger, in rounds of one interval.

CPU seconds of this process; the exporters' side is another. Half of the targets are engines whose series are histograms for the most part, half exporters of eight GPUs.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import fleet
import ledgers
from measure import Result, Setting, clocked

from apportion.config.sources import PrometheusSource
from apportion.ledger.connection import Ledger
from ingest.prometheus.landing import Landing
from ingest.prometheus.scraping import ScrapeCollector, target
from ingest.registry import find
from ingest.rules import Rules
from ingest.supervise import Health
from tests.frozen import FrozenClock

TARGETS, SERIES, INTERVAL_SECONDS = 200, 2_000, 15
SHARE_MAX = 10.0
"""Percent of one core."""

_GPU = 'gpu="{gpu}",UUID="GPU-{target:08}-{gpu}",pci_bus_id="0:{gpu}",device="nvidia{gpu}",modelName="NVIDIA H100 80GB HBM3",Hostname="n{target}"'
_READ = ("GPU_UTIL", "FB_USED", "POWER_USAGE", "TOTAL_ENERGY_CONSUMPTION")
_SERVE = """
import socket, sys, threading
page = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: %d\\r\\n\\r\\n"
pages = [open(name, "rb").read() for name in sys.argv[1:]]
def serve(listener, body):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=talk, args=(connection, body), daemon=True).start()
def talk(connection, body):
    while connection.recv(65536):
        connection.sendall(body)
ports = []
for body in pages:
    listener = socket.create_server(("127.0.0.1", 0))
    ports.append(str(listener.getsockname()[1]))
    threading.Thread(target=serve, args=(listener, page % len(body) + body), daemon=True).start()
print(*ports, flush=True)
sys.stdin.read()
"""


def run(setting: Setting) -> list[Result]:
    """Rounds over all targets, each landed."""
    targets, series = setting.size(small=20, full=TARGETS), setting.size(small=500, full=SERIES)
    folder = setting.work / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    pages = {number: folder / f"{number}.prom" for number in range(targets)}
    for number, path in pages.items():
        path.write_bytes(engine_page(number, series) if number % 2 else gpu_page(number, series))
    path = setting.work / "prometheus.duckdb"
    config = fleet.config(setting.work / "prometheus-config")
    with ledgers.empty(path, config) as ledger, served(pages) as ports:
        spent, seconds, landed = rounds(ledger, ports, setting.rounds)
    ledgers.remove(path)
    size = sum(page.stat().st_size for page in pages.values()) / 1e6
    share = 100 * spent / INTERVAL_SECONDS
    assert landed == targets // 2 * 9 * setting.rounds
    return [
        Result(
            key="share",
            name=f"{targets} targets x {series:,} series ({size:.0f} MB) every {INTERVAL_SECONDS} s: share of one core, landing included",
            ours=seconds,
            figure=share,
            unit="%",
            target=f"≤ {SHARE_MAX:g} % of a core",
            met=share <= SHARE_MAX,
        ),
        Result(key="cpu", name="CPU of one round, the median of them", figure=spent, unit="s"),
    ]


def rounds(ledger: Ledger, ports: list[int], count: int) -> tuple[float, list[float], int]:
    """CPU seconds of a median round, wall seconds of each, and samples that landed; a first round is not counted."""
    clock = FrozenClock(fleet.END)
    settings = PrometheusSource(targets=tuple(f"http://127.0.0.1:{port}/metrics" for port in ports))
    rules = Rules(oldest=clock.now() - timedelta(days=30), tags=frozenset(), sample_hold=timedelta(seconds=120))
    source = ScrapeCollector(
        "bench", settings, ledger=ledger, find_format=lambda name: find(name, {}), rules=rules, clock=clock
    )
    health = Health("bench", "prometheus", clock)
    with ExitStack() as stack:
        landing = Landing("bench", ledger=ledger, find_format=lambda name: find(name, {}), rules=rules, clock=clock)
        stack.callback(landing.close)
        asked = [target(settings, url, "", clock) for url in settings.targets]
        for one in asked:
            stack.callback(one.close)
        pool = stack.enter_context(ThreadPoolExecutor(16))
        spent, seconds = [], []
        for number in range(count + 1):
            before = cpu()
            taken = clocked(lambda: source.round(pool, asked, landing, health))
            if number:
                spent.append(cpu() - before)
                seconds.append(taken)
            else:
                first = samples(ledger)
            clock.advance(timedelta(seconds=INTERVAL_SECONDS))
    return sorted(spent)[len(spent) // 2], seconds, samples(ledger) - first


def samples(ledger: Ledger) -> int:
    """How many there are."""
    both = "SELECT (SELECT count(*) FROM raw.gpu_sample) + (SELECT count(*) FROM raw.engine_sample)"
    return int(ledger.session().value(both))


def cpu() -> float:
    """Seconds that this process has worked, in its own code and in the system's."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def served(pages: Mapping[int, Path]) -> Iterator[list[int]]:
    """Ports of a process that serves the pages."""
    files = [str(path) for path in pages.values()]
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        yield [int(port) for port in server.stdout.readline().split()]
        server.communicate()


def engine_page(number: int, series: int) -> bytes:
    """vLLM's, as it stands: some counters and gauges, and histograms."""
    said = f'engine="0",model_name="model-{number}"'
    lines = [
        f"vllm:prompt_tokens_total{{{said}}} {number + 1}e+06",
        f"vllm:generation_tokens_total{{{said}}} {number + 1}00000.0",
        *(
            f'vllm:prompt_tokens_by_source_total{{{said},source="{one}"}} 5e+05'
            for one in ("local_compute", "local_cache_hit")
        ),
        *(
            f'vllm:request_success_total{{{said},finished_reason="{one}"}} 100.0'
            for one in ("stop", "length", "abort", "error")
        ),
        f"vllm:num_requests_running{{{said}}} 24.0",
        f"vllm:num_requests_waiting{{{said}}} 3.0",
        f"vllm:kv_cache_usage_perc{{{said}}} 0.61",
        *(f"vllm:estimated_{one}_per_gpu_total{{{said}}} 7.36e+18" for one in ("flops", "read_bytes", "write_bytes")),
        "process_start_time_seconds 1.75e+09",
    ]
    while len(lines) < series:
        lines.append(f'vllm:e2e_request_latency_seconds_bucket{{{said},le="{len(lines)}.0"}} {len(lines)}000.0')
    return page(lines)


def gpu_page(number: int, series: int) -> bytes:
    """dcgm-exporter's for eight GPUs, with as many further counters as make up the series."""
    read = [f"DCGM_FI_DEV_{name}" for name in _READ] + [
        f"DCGM_FI_PROF_{name}_ACTIVE" for name in ("GR_ENGINE", "SM", "PIPE_TENSOR", "DRAM")
    ]
    others = [f"DCGM_FI_DEV_OTHER_{one}" for one in range((series - 8 * len(read)) // 8)]
    values = {
        "DCGM_FI_DEV_GPU_UTIL": "97",
        "DCGM_FI_DEV_FB_USED": "73210",
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": "5187300000000",
    }
    return page(
        [
            f"{name}{{{_GPU.format(gpu=gpu, target=number)}}} {values.get(name, '0.5')}"
            for name in (*read, *others)
            for gpu in range(8)
        ]
    )


def page(lines: list[str]) -> bytes:
    """Lines with the comments that exporters put before each metric."""
    text, last = [], ""
    for line in lines:
        name = line.partition("{")[0]
        if name != last:
            text += [f"# HELP {name} What it counts.", f"# TYPE {name} gauge"]
            last = name
        text.append(line)
    return "\n".join([*text, ""]).encode()
