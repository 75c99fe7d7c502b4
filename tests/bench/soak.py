"""Steady traffic into a real `serve` for a while: does its memory stay flat?

Usage: python tests/bench/soak.py [--minutes 10] [--per-second 2000]

Batches of events arrive by HTTP (some with bad records, some repeated) while hours are metered every few seconds and
`/metrics` is scraped. Resident memory is sampled every second; the last third is held against the middle third, since a
process grows into its caches first. Exit code 1 where it grew by more than a twentieth.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import track

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
GROWTH_MAX = 1.05
PATIENCE_SECONDS = 60
BAD_EVERY, REPEATED_EVERY = 50, 10

CONFIG = """
[ledger]
path = "soak.duckdb"
billing_currency = "USD"
[[pools]]
id = "pool"
gpu = "H100_SXM"
gpus = 8
effective_from = {start}
[[rates]]
pool = "pool"
component = "accelerator"
per_gpu_hour = "2.49"
effective_from = {start}
[[deployments]]
id = "d"
pool = "pool"
gpus = 8
models = ["m0", "m1", "m2"]
effective_from = {start}
[policy]
utilization = "allocation"
[schedule]
meter_every_seconds = 5
[http]
listen = "127.0.0.1:{port}"
"""


def main() -> int:
    """Run the soak and show what memory did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--per-second", type=int, default=2000, help="events sent per second (default: 2000)")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="apportion-soak-") as folder:
        samples, sent = soak(Path(folder), options.minutes * 60, options.per_second)
    third = len(samples) // 3
    middle, last = statistics.median(samples[third : 2 * third]), statistics.median(samples[2 * third :])
    console.print(f"{sent:,} events sent; resident memory, MiB, each tenth of the run:")
    for number in range(10):
        part = samples[number * len(samples) // 10 : (number + 1) * len(samples) // 10]
        size = statistics.median(part)
        console.print(f"  {number + 1:>2}  {size:7.0f}  {'█' * round(size / 20)}")
    console.print(f"last third against the middle one: {last / middle:.3f} x (at most {GROWTH_MAX})")
    return int(last / middle > GROWTH_MAX)


def soak(folder: Path, seconds: float, per_second: int) -> tuple[list[float], int]:
    """Send for so long. Returns: MiB of each second, and how many events were sent."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    start = (datetime.now(UTC) - timedelta(hours=3)).strftime("%Y-%m-%dT%H:00:00Z")
    (folder / "apportion.toml").write_text(CONFIG.format(start=start, port=port), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "apportion", "serve"], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    try:
        _wait_for(port)
        return _traffic(process, port, seconds, per_second)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE_SECONDS)


def _traffic(process: subprocess.Popen[bytes], port: int, seconds: float, per_second: int) -> tuple[list[float], int]:
    samples: list[float] = []
    sent, last, pause = 0, b"", threading.Event()
    for second in track(range(round(seconds)), description="soak"):
        began = time.monotonic()
        body = last if second % REPEATED_EVERY == 0 and last else batch(second, per_second)
        last = body
        status, said = _ask(port, "POST", "/v1/usage", body)
        assert status == 200, said
        sent += per_second
        if second % 5 == 0:
            assert _ask(port, "GET", "/metrics", None)[0] == 200
        samples.append(_resident_mib(process.pid))
        pause.wait(max(0.0, 1 - (time.monotonic() - began)))
    return samples, sent


def batch(second: int, count: int) -> bytes:
    """Events of the last two hours, one in fifty of them bad."""
    now = datetime.now(UTC)
    lines = []
    for number in range(count):
        event = {
            "event_id": f"{second}-{number}",
            "source": "soak",
            "occurred_at": (now - timedelta(seconds=number % 7200)).isoformat(),
            "model": f"m{number % 3}",
            "principal": f"key-{number % 500}",
            "uncached_input_tokens": 100,
            "output_tokens": -1 if number % BAD_EVERY == 0 else number,
        }
        lines.append(json.dumps(event))
    return "\n".join(lines).encode()


def _ask(port: int, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    connection.request(method, path, body, {"Content-Type": "application/x-ndjson"} if body else {})
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer.status, said


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if _ask(port, "GET", "/readyz", None)[0] == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "serve was not ready in time"
        threading.Event().wait(0.2)


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


if __name__ == "__main__":
    raise SystemExit(main())
