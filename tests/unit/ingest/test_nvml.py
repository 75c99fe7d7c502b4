"""GPUs of the own host: what the driver says becomes samples, what it cannot say stays unknown, and no device stops another."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from apportion.cli.probe import gpus
from apportion.config.load import load
from apportion.config.sources import NvmlSource
from apportion.domain.errors import LedgerError
from apportion.intake import arriving
from apportion.pipeline import Pipeline
from ingest.formats.ndjson import Ndjson
from ingest.kinds import GPU
from ingest.nvml.collector import NvmlCollector
from ingest.nvml.door import Nvml, NvmlError, Reading, Survey
from ingest.streams import source_of
from ingest.supervise import Health
from tests.frozen import FrozenClock
from tests.unit.ingest import driver as nvidia
from tests.unit.ingest.desk import CONFIG, Desk

FULL = {"memory_used_bytes": 76766543872, "power_milliwatts": 612400}
WHOLE = Reading(gpu_uuid="GPU-a", active_percent=97, energy_millijoules=5187300000001, **FULL)
MEASURES = ("gpu_uuid", "mig_profile", "active_ppm", "memory_used_bytes", "power_milliwatts", "energy_millijoules")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> nvidia.Driver:
    return nvidia.build(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def driver(library: nvidia.Driver) -> nvidia.Driver:
    library.set()
    return library


@pytest.fixture
def nvml(driver: nvidia.Driver) -> Iterator[Nvml]:
    driver.set()
    opened = Nvml.open()
    yield opened
    opened.close()


class Said:
    """A driver that answers what it was told to, one survey or error after the other, and then stops the collector."""

    def __init__(self, *answers: Survey | Exception) -> None:
        self.answers, self.closed, self.stop = list(answers), 0, threading.Event()

    def survey(self) -> Survey:
        answer = self.answers.pop(0)
        if not self.answers:
            self.stop.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed += 1


def of(*readings: Reading, **troubles: str) -> Survey:
    return Survey(readings, troubles)


class Host:
    """A collector over a driver, run until the driver has said everything.

    Attributes:
        health: what it said.
        waits: seconds it paused.
    """

    def __init__(self, desk: Desk, constants: dict[str, str] | None = None, interval: int = 15) -> None:
        self.desk, self.now, self.waits = desk, 0.0, list[float]()
        self.health = Health("gpus", "nvml", desk.clock)
        self.driver: Any = None
        self.collector = NvmlCollector(
            "gpus", NvmlSource(interval_seconds=interval, constants=constants or {}), Ndjson("gpu", GPU),
            desk.ledger, desk.rules, desk.clock, host="host-1", driver=lambda: self.driver, stopwatch=lambda: self.now,
        )  # fmt: skip

    def run(self, driver: Any) -> None:
        self.driver = driver
        stop = driver.stop
        host = self

        class Stop:
            def is_set(self) -> bool:
                return bool(stop.is_set())

            def wait(self, seconds: float) -> None:
                host.waits.append(seconds)
                host.now += seconds
                host.desk.clock.advance(timedelta(seconds=seconds))

        self.collector.run(self.health, Stop())

    @property
    def notes(self) -> tuple[str, ...]:
        return self.health.condition().notes


def test_a_device_says_what_it_supports_and_nothing_else(nvml: Nvml) -> None:
    """Utilization, memory, power and energy in the driver's units; a reading that is not supported is unknown, and never zero."""
    found = nvml.survey()

    assert found.troubles == {}
    assert [reading for reading in found.readings if not reading.mig_profile] == [
        Reading(gpu_uuid="GPU-0", active_percent=97, energy_millijoules=5187300000001, **FULL),
        Reading(gpu_uuid="GPU-1", active_percent=0, energy_millijoules=5187300000002),
        Reading(gpu_uuid="GPU-2", energy_millijoules=5187300000003, **FULL),
        Reading(gpu_uuid="GPU-3", active_percent=0, energy_millijoules=5187300000004, **FULL),
    ]


def test_a_gpu_instance_is_one_device_however_many_compute_instances_share_it(nvml: Nvml) -> None:
    """It has its GPU's UUID, its profile and number, its own memory, and no figure that is the whole device's."""
    found = [reading for reading in nvml.survey().readings if reading.mig_profile]

    assert found == [
        Reading(gpu_uuid="GPU-2", mig_profile="3g.40gb/1", memory_used_bytes=1048576),
        Reading(gpu_uuid="GPU-2", mig_profile="2g/2", memory_used_bytes=6 * 1048576),
    ]


@pytest.mark.parametrize(("code", "why"), [(nvidia.LOST, "GPU is lost"), (nvidia.UNKNOWN, "Unknown Error")])
def test_a_device_that_is_lost_is_named_and_stops_no_other(
    driver: nvidia.Driver, nvml: Nvml, code: int, why: str
) -> None:
    """Its UUID is known from before, the others are read, and it is back as soon as it answers."""
    driver.set(failing=code, after=1)
    first, second = nvml.survey(), nvml.survey()
    driver.set()
    third = nvml.survey()

    assert (first.troubles, third.troubles) == ({}, {})
    assert second.troubles == {"GPU-3": why}
    assert [reading.gpu_uuid for reading in second.readings] == ["GPU-0", "GPU-1", "GPU-2", "GPU-2", "GPU-2"]


def test_a_device_that_was_lost_from_the_beginning_goes_by_its_number(driver: nvidia.Driver, nvml: Nvml) -> None:
    """Nobody knows its UUID."""
    driver.set(failing=nvidia.LOST)

    assert nvml.survey().troubles == {"GPU 3": "GPU is lost"}


def test_a_device_that_is_no_longer_listed_is_missed(driver: nvidia.Driver, nvml: Nvml) -> None:
    """A GPU that fell off the bus may vanish from the driver's list."""
    nvml.survey()
    driver.set(gpus=3)

    assert nvml.survey().troubles == {"GPU-3": "the driver does not list it any more"}


def test_an_old_driver_gives_what_it_has(driver: nvidia.Driver, nvml: Nvml) -> None:
    """Functions it lacks are unknown readings; memory is its own figure, with what it reserves."""
    driver.set(gpus=1, old=True)

    assert nvml.survey().readings == (
        Reading(gpu_uuid="GPU-0", active_percent=97, memory_used_bytes=76766544372, power_milliwatts=612400),
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (nvidia.LIBRARY_NOT_FOUND, "libnvidia-ml.so.1, a part of NVIDIA's driver, is not on this machine; install the driver"),
        (nvidia.NOT_LOADED, "NVIDIA's driver is not loaded; run nvidia-smi as root"),
        (nvidia.FUNCTION_NOT_FOUND, "NVIDIA's driver is too old for nvidia-ml-py; update the driver"),
        (nvidia.MISMATCH, "NVIDIA's driver was updated, and the kernel still runs the old one; reboot"),
        (nvidia.NO_PERMISSION, "this user may not ask NVIDIA's driver; give it access to /dev/nvidiactl"),
        (nvidia.UNKNOWN, "NVIDIA's driver does not answer (Unknown Error); see what nvidia-smi says"),
    ],
)  # fmt: skip
def test_a_host_that_cannot_be_asked_says_what_it_lacks(driver: nvidia.Driver, code: int, said: str) -> None:
    """Each way in which the driver refuses to start has a sentence with the next step."""
    driver.set(init=code)

    with pytest.raises(NvmlError) as raised:
        Nvml.open()
    assert str(raised.value).startswith(said)


def test_a_driver_that_goes_away_is_an_error_with_the_next_step(driver: nvidia.Driver, nvml: Nvml) -> None:
    """An update under a running process ends the survey, not the process."""
    driver.set(count=nvidia.MISMATCH)

    with pytest.raises(NvmlError, match="the kernel still runs the old one; reboot"):
        nvml.survey()


def test_without_the_extra_the_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts without a GPU need no package for one."""
    usual = builtins.__import__

    def refuse(name: str, *given: Any, **named: Any) -> Any:
        if name == "pynvml":
            raise ImportError(name)
        return usual(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(NvmlError, match=r"nvidia-ml-py, which is not installed; run pip install 'apportion\[nvml\]'"):
        Nvml.open()


@pytest.mark.usefixtures("driver")
def test_every_interval_every_device_lands_as_samples(desk: Desk) -> None:
    """The real binding end to end: percent, bytes, mW and mJ become canonical, and what is not known is NULL."""
    asked = Nvml.open()
    host, twice = Host(desk), Said(asked.survey(), asked.survey())
    host.run(twice)
    asked.close()

    looked = sorted(set(desk.samples("sampled_at")))
    assert looked == ["2026-10-15T12:00:00.000000Z", "2026-10-15T12:00:15.000000Z"]
    assert [row for row in desk.samples("sampled_at", *MEASURES) if row[0] == looked[0]] == [
        (looked[0], *row)
        for row in [
            ("GPU-0", "", 970000, 76766543872, 612400, 5187300000001),
            ("GPU-1", "", 0, None, None, 5187300000002),
            ("GPU-2", "", None, 76766543872, 612400, 5187300000003),
            ("GPU-2", "2g/2", None, 6291456, None, None),
            ("GPU-2", "3g.40gb/1", None, 1048576, None, None),
            ("GPU-3", "", 0, 76766543872, 612400, 5187300000004),
        ]
    ]
    assert desk.totals()["landed"] == 12
    assert host.waits == [15, 15]
    assert host.notes == ()


def test_samples_say_where_the_device_is(desk: Desk) -> None:
    """The node is the host's name unless the config says another; constants are those of every sample."""
    Host(desk).run(Said(of(WHOLE)))
    desk.clock.advance(timedelta(seconds=1))
    Host(desk, {"node": "n-7", "cluster": "eu", "deployment": "llama", "gpu": "H100_SXM"}).run(Said(of(WHOLE)))

    assert desk.samples("node", "cluster", "deployment", "gpu") == [
        ("host-1", "", "", ""),
        ("n-7", "eu", "llama", "H100_SXM"),
    ]


def test_troubles_are_said_once_and_their_end_too(desk: Desk) -> None:
    """A lost device does not fill the log every interval."""
    host, lost = Host(desk), of(WHOLE, **{"GPU-b": "GPU is lost"})
    host.run(Said(of(WHOLE), lost, lost, of(WHOLE)))

    assert host.notes == (
        "1 of 2 GPUs are not read, GPU-b: GPU is lost; see nvidia-smi and the kernel's log",
        "every GPU answers again",
    )
    assert len(desk.samples("gpu_uuid")) == 4
    assert host.health.condition().state == "running"


@pytest.mark.parametrize(
    ("survey", "said"),
    [
        (of(), "NVIDIA's driver lists no GPU; give this user"),
        (of(**{"GPU-a": "GPU is lost"}), "no GPU answers, GPU-a: GPU is lost; see nvidia-smi"),
    ],
)
def test_a_host_where_nothing_answers_fails_aloud(desk: Desk, survey: Survey, said: str) -> None:
    """The source is failing, the driver is let go of, and the next attempt asks it anew."""
    host, driver = Host(desk), Said(survey)

    with pytest.raises(NvmlError, match=said):
        host.run(driver)
    assert driver.closed == 1
    assert desk.samples("gpu_uuid") == []


def test_samples_outlive_a_ledger_that_cannot_be_written(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read while nothing could be committed lands with the next look, at the times it was read."""
    host = Host(desk)

    def refuse(*_: object, **__: object) -> None:
        raise LedgerError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr("ingest.land.Lander.land_parts", refuse)
        with pytest.raises(LedgerError):
            host.run(Said(of(WHOLE)))
    desk.clock.advance(timedelta(seconds=15))
    host.run(Said(of(WHOLE)))

    assert len(desk.samples("sampled_at")) == 2
    assert len(set(desk.samples("sampled_at"))) == 2


def test_a_restart_goes_on_where_the_stream_stands(desk: Desk) -> None:
    """Records of the stream are counted on; its name says whose it is."""
    Host(desk).run(Said(of(WHOLE), of(WHOLE)))
    desk.clock.advance(timedelta(seconds=1))
    Host(desk).run(Said(of(WHOLE)))
    rows = desk.ledger.session().rows("SELECT stream, records FROM raw.stream_position")

    assert rows == [("nvml:gpus", 3)]
    assert source_of("nvml:gpus") == "gpus"


def test_a_look_that_takes_longer_than_the_interval_is_not_made_up_for(desk: Desk) -> None:
    """Looks stay an interval apart; one that was slow moves those after it."""
    host, slow = Host(desk), Said(of(WHOLE), of(WHOLE), of(WHOLE))
    usual: Callable[[], Survey] = slow.survey
    took = iter([2.0, 40.0, 0.0])

    def survey() -> Survey:
        host.now += next(took)
        return usual()

    slow.survey = survey  # type: ignore[method-assign]
    host.run(slow)

    assert host.waits == [13, 0, 15]


def test_check_says_which_devices_answer(driver: nvidia.Driver) -> None:
    """The look of `apportion check` names them, and what is wrong with the others or with the host."""
    driver.set(gpus=2)
    well = gpus()
    driver.set(failing=nvidia.LOST)
    lost = gpus()
    driver.set(init=nvidia.NOT_LOADED)
    absent = gpus()

    assert well == (True, "NVIDIA's driver tells of GPU-0, GPU-1")
    assert lost == (
        False,
        "NVIDIA's driver tells of GPU-0, GPU-1, GPU-2, GPU-2 3g.40gb/1, GPU-2 2g/2, and not of GPU 3: GPU is lost",
    )
    assert absent == (False, "NVIDIA's driver is not loaded; run nvidia-smi as root, or see the kernel's log")


def test_serve_reads_the_host_under_its_own_name(desk: Desk, clock: FrozenClock) -> None:
    """A table in the config is a collector of that name."""
    file = desk.folder / "apportion.toml"
    file.write_text(CONFIG + '[[sources]]\nname = "gpus"\ncollector = "nvml"\n')
    collectors = arriving(Pipeline(load(file), desk.ledger, clock)).collectors

    assert [(one.name, one.collector) for one in collectors] == [("http", "http"), ("gpus", "nvml")]
