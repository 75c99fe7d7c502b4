"""The processes of a round: `serve`, which is killed and started again, and whoever scrapes it all the while."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from prometheus_client.openmetrics import parser as _openmetrics
from prometheus_client.parser import text_string_to_metric_families

ROOT: Final = Path(__file__).parents[3]
PATIENCE_SECONDS: Final = 60.0
SCRAPE_SECONDS: Final = 0.1
TOKENS: Final = {"STORM_TOKEN": "a-token-that-nobody-may-see", "STORM_GUEST": "another-one-that-nobody-may-see"}
"""By the names they have in the environment of `serve`."""


class BrokenPromise(AssertionError):
    """Something that must hold does not."""


def until(
    condition: Callable[[], Any], what: Callable[[], str] | str, seconds: float = PATIENCE_SECONDS, pause: float = 0.02
) -> Any:
    """The first true answer of a condition, asked every few milliseconds. Raises: BrokenPromise when it never comes."""
    deadline = time.monotonic() + seconds
    pausing = threading.Event()
    while True:
        if answer := condition():
            return answer
        if time.monotonic() > deadline:
            raise BrokenPromise(f"not within {seconds:g} s: {what if isinstance(what, str) else what()}")
        pausing.wait(pause)


def clockwork(folder: Path) -> Path | None:
    """The library that lets the clock of a process jump, built there; None without a C compiler."""
    compiler, library = shutil.which("cc"), folder / "clock.so"
    if compiler is None:
        return None
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library


class Serve:
    """`apportion serve` in a folder, as a process that ends and comes back.

    Attributes:
        folder: with its config.
        url: where it listens.
        log: what it says, over all its lives.
    """

    def __init__(self, folder: Path, port: int, clockwork: Path | None) -> None:
        self._clockwork = clockwork
        self.folder, self.url, self.log = folder, f"http://127.0.0.1:{port}", folder / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._clock = folder / "clock"
        self._may_break = False
        self.set_clock(0)

    def start(self) -> None:
        """Begin a life."""
        self._may_break = False
        environment = {**os.environ, **TOKENS, "PYTHONPATH": str(ROOT)}
        if self._clockwork:
            environment |= {"LD_PRELOAD": str(self._clockwork), "STORM_CLOCK": str(self._clock)}
        with self.log.open("ab") as output:
            output.write(b"--- started\n")
            output.flush()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "apportion", "serve"],
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
            )

    @property
    def code(self) -> int | None:
        """Exit code; None while it lives."""
        return self._process.poll() if self._process else None

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def kill_in_commit(self, after: float) -> None:
        """kill -9 so many seconds after the write-ahead log has grown, or after a second without that."""
        wal = self.folder / "apportion.duckdb.wal"

        def size() -> int:
            return wal.stat().st_size if wal.exists() else 0

        before = size()
        with contextlib.suppress(BrokenPromise):
            until(lambda: size() != before, "", seconds=1, pause=0.001)
        threading.Event().wait(after)
        self.kill()

    def term(self, again_after: float | None = None) -> None:
        """SIGTERM, and once more after so many seconds. Raises: BrokenPromise where it does not end, or not well."""
        process = self._process
        assert process
        process.send_signal(signal.SIGTERM)
        if again_after is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(again_after)
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(40 if again_after is None else 5)
        except subprocess.TimeoutExpired:
            raise BrokenPromise(
                f"serve did not end after SIGTERM{' and a second one' if again_after else ''}"
            ) from None
        allowed = {0, -signal.SIGTERM} | (set() if again_after is None else {128 + signal.SIGTERM})
        if self._may_break:
            allowed.add(1)
        if code not in allowed:  # -SIGTERM is who had not begun to listen to it
            raise BrokenPromise(f"serve ended with {code} after SIGTERM")

    def full_disk(self) -> None:
        """From now on no file of the process may grow beyond what the write-ahead log has now."""
        wal = self.folder / "apportion.duckdb.wal"
        size = wal.stat().st_size if wal.exists() else 0
        self._limit(max(size, self.log.stat().st_size + 20_000))
        self._may_break = True

    def free_disk(self) -> None:
        """There is room again."""
        self._limit(resource.RLIM_INFINITY)
        self.check_alive()

    def set_clock(self, seconds: float) -> None:
        """What its clock says differs from ours by so much, from now on."""
        with self._clock.open("r+b" if self._clock.exists() else "wb", buffering=0) as file:
            file.write(struct.pack("q", round(seconds * 10**9)))  # in place: the process looks at this very file

    def is_ready(self) -> bool:
        """Whether it says so. Raises: BrokenPromise where it ended by itself."""
        self.check_alive()
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def check_alive(self) -> None:
        """What gave up in a life in which the disk was full is started again, as any supervisor would.

        Raises: BrokenPromise where it ended by itself without a reason.
        """
        if self.code is not None:
            if not self._may_break:
                raise BrokenPromise(f"serve ended by itself with {self.code}")
            self.start()

    def end(self) -> None:
        """Nothing is left running."""
        if self._process and self._process.poll() is None:
            self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(how)
        self._process.wait(PATIENCE_SECONDS)

    def _limit(self, size: int) -> None:
        if self._process and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


Series = tuple[str, tuple[tuple[str, str], ...]]


class Scraper:
    """Reads /metrics ten times a second, and minds every counter.

    Attributes:
        faults: what was wrong with what it read.
        seen: the newest value of each series.
        pages: how many pages differed from the one before.
    """

    def __init__(self, url: str) -> None:
        self.faults: list[str] = []
        self.seen: dict[Series, float] = {}
        self.pages = 0
        self._url, self._last = url, b""
        self._counters: dict[Series, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scraper", daemon=True)
        self._thread.start()

    def value(self, name: str, **labels: str) -> float:
        """A sample of the newest page, added up over labels that are not given; 0 where there is none."""
        wanted = labels.items()
        return sum(
            value for (found, pairs), value in self.seen.items() if found == name and wanted <= dict(pairs).items()
        )

    def stop(self) -> None:
        """Read no more."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._over.wait(SCRAPE_SECONDS):
            number += 1
            page = self._page(openmetrics_wanted=number % 5 == 0)
            if page is None or page[0] == self._last:
                continue
            self._last = page[0]
            try:
                self._mind(*page)
            except Exception as error:  # noqa: BLE001 - whatever a parser dies of
                self._fault(f"/metrics cannot be parsed: {error!r}")

    def _page(self, *, openmetrics_wanted: bool) -> tuple[bytes, bool] | None:
        accept = "application/openmetrics-text; version=1.0.0" if openmetrics_wanted else "text/plain"
        try:
            request = urllib.request.Request(f"{self._url}/metrics", headers={"accept": accept})
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.read(), openmetrics_wanted
        except urllib.error.HTTPError as error:
            error.close()
            self._fault(f"/metrics was answered with {error.code}")
        except OSError:
            pass  # nobody is there at the moment
        except Exception as error:  # noqa: BLE001 - a broken answer of one that is being killed
            del error
        return None

    def _mind(self, page: bytes, is_openmetrics: bool) -> None:
        parse = _openmetrics.text_string_to_metric_families if is_openmetrics else text_string_to_metric_families
        found: dict[Series, float] = {}
        for family in parse(page.decode()):
            for sample in family.samples:
                series = sample.name, tuple(sorted(sample.labels.items()))
                if series in found:
                    self._fault(f"{series} is there twice")
                found[series] = float(sample.value)
        counters = {series: value for series, value in found.items() if series[0].endswith("_total")}
        for series, before in self._counters.items():
            now = counters.get(series)
            if now is None:
                self._fault(f"{series} was {before:g}, and is gone")
            elif now < before:
                self._fault(f"{series} went down from {before:g} to {now:g}")
        self._counters |= counters
        self.seen, self.pages = found, self.pages + 1

    def _fault(self, sentence: str) -> None:
        if len(self.faults) < 20 and sentence not in self.faults:
            self.faults.append(sentence)


@contextlib.contextmanager
def running(serve: Serve) -> Iterator[Scraper]:
    """A `serve` that is scraped; neither is left behind."""
    serve.start()
    scraper = Scraper(serve.url)
    try:
        yield scraper
    finally:
        scraper.stop()
        serve.end()
