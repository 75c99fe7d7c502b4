"""What `check` sees of the sources: files, brokers and the port, looked at and left as they are."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from apportion.cli import main, probe
from apportion.config.load import load
from tests.ports import free_port

LEDGER = '[ledger]\npath = "ledger.duckdb"\nbilling_currency = "USD"\n'
FILES = '[[sources]]\nname = "f"\ncollector = "files"\nformat = "usage"\npaths = ["logs/*.log", "none/*"]\n'


@pytest.fixture
def held() -> Iterator[int]:
    """A port of this machine on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def config(folder: Path, text: str, port: int) -> Path:
    """A config file that listens on a port."""
    file = folder / "apportion.toml"
    file.write_text(f'{LEDGER}[http]\nlisten = "127.0.0.1:{port}"\n{text}')
    return file


def kafka(*ports: int) -> str:
    """A source of brokers at ports of this machine."""
    brokers = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    return f'[[sources]]\nname = "k"\ncollector = "kafka"\nformat = "usage"\nbrokers = [{brokers}]\ntopics = ["t"]\n'


def test_every_source_is_looked_at(tmp_path: Path, held: int) -> None:
    """A line for each pattern and broker and for the port, in the order of the config."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").write_text("")
    (logs / "b.log").write_text("")
    port, nobody = free_port(), free_port()
    seen = probe.probe(load(config(tmp_path, FILES + kafka(held, nobody), port)))

    assert [(look.source, look.well, look.said) for look in seen] == [
        ("http", True, f"127.0.0.1:{port} is free to listen on"),
        ("f", True, f"2 files match {tmp_path}/logs/*.log"),
        ("f", False, f"no file matches {tmp_path}/none/* now; one that appears later is read"),
        ("k", True, f"127.0.0.1:{held} accepts connections"),
        ("k", False, f"127.0.0.1:{nobody} cannot be reached (Connection refused); start it, or correct brokers"),
    ]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right to list a folder is not the right to read its files."""
    (tmp_path / "a.log").write_text("")
    monkeypatch.setattr("os.access", lambda *_: False)

    assert probe.files(f"{tmp_path}/*.log") == (
        False,
        f"1 file matches {tmp_path}/*.log, and 1 cannot be read, such as {tmp_path}/a.log; give this user access",
    )


def test_a_port_that_is_held_is_told(tmp_path: Path, held: int) -> None:
    """Every source that arrives there says so; a running serve is one reason among others."""
    seen = probe.probe(
        load(config(tmp_path, '[[sources]]\nname = "h"\ncollector = "http"\nformat = "usage"\ntoken = { env = "PATH" }\n', held))
    )  # fmt: skip
    said = f"127.0.0.1:{held} is held or not to be had (Address already in use); a running serve holds it too"

    assert [(look.source, look.well, look.said) for look in seen] == [("http", False, said), ("h", False, said)]


def test_a_look_that_takes_too_long_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server or a folder that never answers is told as such."""
    never = threading.Event()

    def hang(_: str) -> tuple[bool, str]:
        never.wait()
        return True, ""

    monkeypatch.setattr(probe, "reached", hang)
    seen = probe.probe(load(config(tmp_path, kafka(1), free_port())), seconds=0.5)
    never.set()

    assert seen[1:] == [probe.Seen("k", well=False, said="127.0.0.1:1 gave no answer in 0.5 seconds")]


@pytest.mark.parametrize("broker", ["127.0.0.1:1", "a..b:1"])
def test_a_name_that_is_none_is_no_crash(broker: str) -> None:
    """Whatever the resolver says becomes a sentence."""
    well, said = probe.reached(broker, 0.5)

    assert not well
    assert said.startswith(f"{broker} cannot be reached (")


def test_check_warns_of_what_it_does_not_find(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Failing looks are warnings beside the config's own, and the config is right all the same; brackets are printed."""
    file = config(tmp_path, FILES + "[budgets]\n", free_port())
    file.write_text(file.read_text().replace("127.0.0.1", "0.0.0.0"))

    assert main(["check", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    assert f"warning source f: no file matches {tmp_path}/logs/*.log now; one that appears later is read\n" in out
    assert 'add token = { env = "APPORTION_TOKEN" } to [http], or to a source' in out
    assert out.endswith(
        f"ok {file}: 0 pool rows, 0 deployment rows, 0 rates, 0 directory rules, 1 sources, 3 warnings\n"
    )


def test_check_prints_what_it_saw_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object: the config, its warnings, every look, and nothing of a fleet that was never metered."""
    port = free_port()
    assert main(["--json", "check", "--config", str(config(tmp_path, "", port))]) == 0
    said = json.loads(capsys.readouterr().out)

    assert said["probes"] == [{"source": "http", "well": True, "said": f"127.0.0.1:{port} is free to listen on"}]
    assert said["warnings"] == []
    assert said["discovered"] is None
