"""What the container files rest on is there: paths, pins, a user without rights, a config that loads."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest

from apportion import __version__
from apportion.config.load import load

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", ["config.example.toml", "config.kafka.example.toml"])
def test_the_example_config_loads_and_keeps_everything_on_the_volume(
    example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works as it stands, listens where the container publishes, and writes only where the volume is mounted."""
    monkeypatch.setenv("APPORTION_TOKEN", "set")
    config = load(DEPLOY / example)
    volume = PurePosixPath(re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE)[0])

    assert config.warnings == ()
    assert (config.http.listen.host, config.http.listen.port) == ("0.0.0.0", 8321)
    for path in (config.ledger.path, config.schedule.chargeback_dir):
        assert PurePosixPath(path).is_relative_to(volume)


def test_every_suggested_source_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the comment signs taken away the sources of the example load, one of each way to arrive but Kafka."""
    for name in ("APPORTION_TOKEN", "GATEWAY_TOKEN"):
        monkeypatch.setenv(name, "set")
    text = (DEPLOY / "config.example.toml").read_text(encoding="utf-8")
    config = tmp_path / "apportion.toml"
    config.write_text(re.sub(r"^# (?=\[\[|[a-z_]+ = )", "", text, flags=re.MULTILINE))
    read = load(config)

    assert [(source.name, source.collector) for source in read.sources] == [
        ("gateway", "http"),
        ("engine-log", "files"),
    ]
    assert read.warnings == ()


def test_the_config_for_kafka_is_the_example_and_the_broker_of_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    """It differs by one source, which reads the topics that compose makes, where compose has the broker."""
    monkeypatch.setenv("APPORTION_TOKEN", "set")
    example, kafka = (
        (DEPLOY / f"config.{name}.toml").read_text(encoding="utf-8") for name in ("example", "kafka.example")
    )
    (source,) = load(DEPLOY / "config.kafka.example.toml").sources
    made = re.findall(r"for topic in (.+);", COMPOSE)

    assert kafka.startswith(example)
    assert source.kafka is not None
    assert made == [" ".join(source.kafka.topics)]
    assert f"KAFKA_ADVERTISED_LISTENERS: PLAINTEXT://{source.kafka.brokers[0]}" in COMPOSE
    assert "- ${APPORTION_CONFIG:-./config.example.toml}:/etc/apportion/apportion.toml:ro" in COMPOSE


def test_the_relay_delivers_to_apportion_and_keeps_its_spool() -> None:
    """Its spool is on a volume in a folder that the image gives to its user, and its target is where serve listens."""
    made = re.findall(r"^ && install -d -o apportion -g apportion (.+)$", DOCKERFILE, re.MULTILINE)[0].split()

    assert "- --to=http://apportion:8321" in COMPOSE
    assert "- --spool=/var/lib/relay/spool.db" in COMPOSE
    assert "- relay:/var/lib/relay" in COMPOSE
    assert "/var/lib/relay" in made


def test_whatever_runs_is_started_again_and_stopped_in_time() -> None:
    """Each service restarts; what holds events has time to put them away; what makes the topics ends by itself."""
    services = re.split(r"^  (?=[a-z-]+:$)", COMPOSE[COMPOSE.index("services:") : COMPOSE.index("volumes:\n  ledger")], flags=re.MULTILINE)[1:]  # fmt: skip
    restarts = {part.partition(":")[0]: re.findall(r"^    restart: (.+)$", part, re.MULTILINE) for part in services}

    assert {name for name, found in restarts.items() if found != ["unless-stopped"]} == {"kafka-topics"}
    assert restarts["kafka-topics"] == ["on-failure"]
    assert [part.partition(":")[0] for part in services if "stop_grace_period" in part] == ["apportion", "relay"]


def test_what_the_dockerfile_copies_is_there() -> None:
    """Every COPY from the build context names a file or folder of the repository."""
    sources = [
        part for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for part in line.split()[:-1]
    ]

    assert {"requirements/", "pyproject.toml", "apportion/"} <= set(sources)
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_the_build_context_is_what_the_dockerfile_copies() -> None:
    """Nothing else of the checkout, history and ledgers least of all, travels to the builder or changes the image."""
    sources = {
        part for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for part in line.split()[:-1]
    }
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()

    assert ignore[0] == "*"
    assert {line.removeprefix("!") for line in ignore if line.startswith("!")} == sources


def test_the_image_installs_by_hash_and_runs_without_rights() -> None:
    """Locked requirements, a user that is not the superuser, a health check on what listens."""
    locks = re.findall(r"pip install(.*) -r (\S+)", DOCKERFILE)

    assert [lock for _, lock in locks] == ["requirements/runtime.txt", "requirements/build.txt"]
    assert all("--require-hashes" in options and (ROOT / lock).exists() for options, lock in locks)
    assert re.findall(r"^USER (\d+):", DOCKERFILE, re.MULTILINE) == ["10001"]
    assert "http://127.0.0.1:8321/healthz" in DOCKERFILE
    assert DOCKERFILE.index("USER ") < DOCKERFILE.index("ENTRYPOINT")


@pytest.mark.parametrize("image", re.findall(r"^\s+image: (\S+)$", COMPOSE, re.MULTILINE))
def test_images_are_pinned(image: str) -> None:
    """A tag with a full version, never the latest of something; ours is this version."""
    name, tag = image.split(":")

    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag)
    assert name != "apportion" or tag == __version__


def test_what_compose_mounts_is_there() -> None:
    """Every file or folder mounted from beside the compose file exists, and is mounted read-only."""
    mounts = re.findall(r"^\s+- (?:\$\{\w+:-)?\./([^:}]+)\}?:[^:]+:?(\w*)$", COMPOSE, re.MULTILINE)

    assert len(mounts) == 4
    assert [path for path, mode in mounts if mode != "ro" or not (DEPLOY / path).exists()] == []


def test_ports_are_published_on_loopback() -> None:
    """Nothing answers strangers until somebody decides so."""
    published = re.findall(r'"([\d.]+):\d+:\d+"', COMPOSE)

    assert len(published) == 4
    assert set(published) == {"127.0.0.1"}


def test_no_secret_is_written_down() -> None:
    """Each comes from the environment, and compose refuses to start without those that it needs."""
    assert "${GRAFANA_ADMIN_PASSWORD:?" in COMPOSE
    assert "${APPORTION_TOKEN:?" in COMPOSE
    assert not re.findall(r"^\s+\w*(?:TOKEN|PASSWORD): (?!\$\{)", COMPOSE, re.MULTILINE)


def test_the_dashboard_is_where_grafana_is_told_to_look() -> None:
    """The provider's path is the folder that the dashboard is mounted into."""
    provider = (DEPLOY / "grafana" / "provisioning" / "dashboards" / "apportion.yaml").read_text(encoding="utf-8")
    folder = re.findall(r"^\s+path: (\S+)$", provider, re.MULTILINE)

    assert len(folder) == 1
    assert f"./grafana/cost-per-team.json:{folder[0]}/cost-per-team.json:ro" in COMPOSE
