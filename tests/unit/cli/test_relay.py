"""`apportion relay` as it is asked for: mistakes are sentences, and what was refused can be looked after."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from apportion.cli import main
from ingest.relay.entries import Entry
from ingest.relay.spool import Spool
from tests.frozen import START

ROOT = Path(__file__).parents[3]


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command."""
    code = main(["relay", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name the receiver: `apportion relay --to http://apportion:8321`"),
        (["--to", "apportion:8321"], "--to must be a URL such as http://apportion:8321"),
        (["--to", "http://x", "--listen", "8322"], "--listen '8322' must be HOST:PORT"),
        (["--to", "http://x", "--listen", "x:99999999"], "must be HOST:PORT"),
        (["--to", "http://x", "--listen", "0.0.0.0:8322"], "--listen 0.0.0.0:8322 is open to others"),
        (["--to", "http://x", "--listen", "relay:8322"], "--listen relay:8322 is open to others"),
        (["--to", "http://x", "--body-bytes-max", "0"], "--body-bytes-max must be from 1 to 268435456"),
        (["--to", "http://x", "--spool-bytes-max", "5"], "--body-bytes-max must be from 1 to 5"),
        (["--to", "http://x", "--token-env", "NOT_THERE"], "environment:NOT_THERE: is not set"),
        (["--to", "http://x", "--listen-token-env", "NOT_THERE"], "environment:NOT_THERE: is not set"),
        (["--list-refused", "--spool", "absent"], "--spool absent: there is no spool"),
    ],
)
def test_a_mistake_is_a_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    sentence: str,
) -> None:
    """What is wrong and what to do; exit code 2, and no spool is left behind."""
    monkeypatch.chdir(tmp_path)
    code, out, err = said(capsys, *arguments)

    assert (code, out) == (2, "")
    assert sentence in err
    assert not list(tmp_path.iterdir())


def test_what_was_refused_is_looked_after(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Listed with its answer, for people and for programs; tried again; dropped."""
    place = ("--spool", str(tmp_path / "relay.spool"))
    spool = Spool(tmp_path / "relay.spool")
    spool.append([Entry(path="/v1/usage", content_type="", content_encoding="", body=b"[bold]", received_at=START)])
    first = spool.oldest()
    assert first is not None
    spool.refuse(first, 400, "no\ngood [red]")
    row = {
        "entry": 1,
        "received_at": "2026-10-01T00:00:00+00:00",
        "path": "/v1/usage",
        "body_bytes": 6,
        "status": 400,
        "answer": "no good [red]",
    }
    assert json.loads(said(capsys, *place, "--list-refused", "--json")[1]) == {"refused": [row]}
    listed = said(capsys, *place, "--list-refused")[1]
    assert "status=400 answer=no good [red]\n1 requests were refused" in listed
    assert said(capsys, *place, "--retry-refused")[:2] == (0, "1 requests wait to be delivered again\n")
    assert spool.oldest() == first
    spool.refuse(first, 400, "no")
    assert json.loads(said(capsys, *place, "--drop-refused", "--json")[1]) == {"dropped": 1}
    assert said(capsys, *place, "--list-refused")[1] == "nothing was refused\n"
    spool.close()


def test_it_opens_no_ledger() -> None:
    """A forwarder on a small machine beside the gateway: no database of ours, no data frames, no Kafka."""
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, apportion.cli.relay, apportion.listener, apportion.schedule; print(*sys.modules)",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert {"duckdb", "pandas", "kafka", "prometheus_client"} & set(loaded) == set()
