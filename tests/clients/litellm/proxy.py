"""LiteLLM's proxy as a real process on loopback: two keys of two teams, no database, nothing fetched from anywhere.

Its log callback goes to `serve` itself and, as a second callback, to the relay in front of it: each call arrives twice.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from tests.clients.environment import ROOT, python
from tests.clients.programs import ask, running, until
from tests.ports import free_port

SEARCH, ADS = "sk-search-key", "sk-ads-key"
CONFIG = """
model_list:
- model_name: chat
  litellm_params: {{model: openai/tiny, api_key: none, api_base: "http://127.0.0.1:{upstream}/v1"}}
- model_name: mock
  litellm_params: {{model: hosted_vllm/mocked, api_key: none, mock_response: "an answer that was never computed"}}
router_settings:
  num_retries: 0
  disable_cooldowns: true
general_settings:
  master_key: sk-of-tests-5f0c1a7e93b84d26
  custom_auth: keys.user_api_key_auth
litellm_settings:
  callbacks: [{callbacks}]
  turn_off_message_logging: true
  cache: true
  cache_params: {{type: local, mode: default_off}}
callback_settings:
  direct:
    callback_type: generic_api
    endpoint: http://127.0.0.1:{serve}/v1/litellm
    headers: {{Authorization: "Bearer {token}"}}
  witness:
    callback_type: generic_api
    endpoint: http://127.0.0.1:{upstream}/payloads
    headers: {{}}
"""
DOCUMENTED = "http://relay:8322"
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "DEFAULT_FLUSH_INTERVAL_SECONDS": "1",
    "HF_HUB_OFFLINE": "1",
    "NO_PROXY": "127.0.0.1",
    "PYTHONPATH": ".",
}


@dataclass(frozen=True)
class Proxy:
    """A proxy that is up.

    Attributes:
        port: where it listens.
        process: to stop it.
        log: what it says.
    """

    port: int
    process: Popen[bytes]
    log: Path

    def chat(self, key: str, message: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> tuple[int, Any]:
        """Status and body of a call; a stream's body is the data of its events."""
        said = {"authorization": f"Bearer {key}", **(headers or {})}
        status, body = ask(self.port, "/v1/chat/completions", _call(message, more), said)
        if not more.get("stream"):
            return status, json.loads(body)
        return status, [line.removeprefix("data: ") for line in body.decode().splitlines() if line.startswith("data: ")]

    def leave(self, key: str, message: str, lines: int, **more: Any) -> None:
        """Begin a stream, read so many lines of it, and hang up."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        said = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        with contextlib.closing(connection):
            connection.request(
                "POST", "/v1/chat/completions", json.dumps(_call(message, {**more, "stream": True})), said
            )
            answer = connection.getresponse()
            for _ in range(lines):
                answer.readline()
            answer.close()


def documented(relay: int) -> str:
    """The settings of the callback `apportion` as deploy/README.md gives them, with a relay of this machine."""
    text = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "generic_api" in one]
    assert DOCUMENTED in block
    return str(block).partition("callback_settings:\n")[2].replace(DOCUMENTED, f"http://127.0.0.1:{relay}")


def _call(message: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": "chat", "messages": [{"role": "user", "content": message}], **more}


@contextlib.contextmanager
def proxy(folder: Path, callbacks: str, environment: Mapping[str, str] | None = None, **places: Any) -> Iterator[Proxy]:
    """A proxy that answers.

    Args:
        folder: of its config and its log.
        callbacks: names of CONFIG's callbacks, with commas.
        environment: what it is told besides.
        places: what CONFIG leaves open.
    """
    program, port, log = python(), free_port(), folder / "litellm.log"
    for file in (Path(__file__).with_name("keys.py"), ROOT / "deploy" / "litellm" / "preserve.py"):
        shutil.copy(file, folder)
    config = CONFIG.format(callbacks=callbacks, **places) + documented(places["relay"])
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    start = "from litellm import run_server; run_server()"
    arguments = ["--config", "config.yaml", "--host", "127.0.0.1", "--port", port, "--telemetry", "False"]
    with running(
        [program, "-c", start, *map(str, arguments)], folder, {**QUIET, **(environment or {})}, log
    ) as process:
        until(lambda: ask(port, "/health/liveliness")[0] == 200, "LiteLLM answers", process, log)
        yield Proxy(port, process, log)
