"""A real Kafka broker for tests (KRaft, one node), from jars that Maven copies once; and librdkafka's mock where that cannot be.

    with Broker(folder) as broker:
        broker.create("usage", partitions=3)
        broker.produce("usage", [b'{"event_id": "1"}'], codec="zstd")
        broker.kill(); broker.start()        # same ports, same log

The jars stay in `APPORTION_KAFKA_HOME`, else in the user's cache folder. A broker without Java or Maven is a failure in CI and
elsewhere a warning: what needs a real one is skipped, the rest runs against the mock.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Self

import pytest
from kafka import KafkaAdminClient, TopicPartition

from tests.ports import free_port

POM = Path(__file__).parent / "kafka" / "pom.xml"
PATIENCE_SECONDS = 60
USER, PASSWORD = "apportion", "s3cret-of-tests"  # of the listeners that ask for one
MOCK_VERSION = (2, 3)
"""What kafka-python has to be told the mock is."""


def found(program: str, package: str) -> str:
    """Path of a program, or the end of the test: a failure in CI, a skip elsewhere."""
    path = shutil.which(program)
    return path or lacking(f"{program} is not installed; on Debian: apt-get install {package}")


def lacking(reason: str) -> NoReturn:
    """End the test for want of something: that is a failure in CI, a skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def why_no_broker() -> str:
    """What is missing for a real broker; empty where nothing is."""
    absent = [name for name in ("java", "mvn") if not shutil.which(name)]
    if "mvn" in absent and any(_home().glob("kafka_*.jar")):
        absent.remove("mvn")
    return (
        f"no real Kafka: {' and '.join(absent)} not installed (Debian: default-jre-headless, maven)" if absent else ""
    )


def _home() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("APPORTION_KAFKA_HOME") or Path(cache) / "apportion" / "kafka")


def jars() -> Path:
    """The folder of the broker's jars, copied there by Maven the first time."""
    home = _home()
    if any(home.glob("kafka_*.jar")):
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    fresh = home.with_name(f"{home.name}.{os.getpid()}")
    copied = subprocess.run(
        [
            found("mvn", "maven"),
            "-q",
            "-B",
            "-f",
            str(POM),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={fresh}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if copied.returncode:
        lacking(f"Maven could not copy the broker: {copied.stdout[-600:]}")
    with contextlib.suppress(OSError):  # somebody else was faster
        fresh.rename(home)
    return home


@dataclass
class Broker:
    """A broker that can be killed and started again where it was.

    Attributes:
        folder: everything of it lies there.
        secured: whether it also listens for SASL_PLAINTEXT, SSL and SASL_SSL.
        ports: by listener; the same after every start.
        settings: further lines of server.properties.
    """

    folder: Path
    secured: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _admin: KafkaAdminClient | None = None

    api_version = None
    real = True

    def address(self, listener: str = "PLAINTEXT") -> str:
        """`host:port` of a listener."""
        return f"127.0.0.1:{self.ports[listener]}"

    @property
    def ca(self) -> Path:
        """PEM of who signed the broker's certificate."""
        return self.folder / "ca.pem"

    @property
    def pid(self) -> int:
        """The process of the broker."""
        assert self._process
        return self._process.pid

    def start(self) -> Self:
        """Start it, and wait until it serves."""
        if not self.ports:
            self._prepare()
        log = self.folder / "broker.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*_java("512m"), "kafka.Kafka", str(self.folder / "server.properties")],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        self._until(lambda: b"Kafka Server started" in log.read_bytes(), log)
        return self

    def stop(self) -> None:
        """An orderly end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def create(self, topic: str, *, partitions: int = 1, **config: str) -> None:
        """A new topic; options of it are given with underscores for dots."""
        configs = {name.replace("_", "."): value for name, value in config.items()}
        self.admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})

    def widen(self, topic: str, partitions: int) -> None:
        """Give a topic more partitions."""
        self.admin.create_partitions({topic: partitions})

    def delete(self, topic: str) -> None:
        """Delete a topic, and wait until its name is free."""
        self.admin.delete_topics([topic])
        self._until(lambda: topic not in self.admin.list_topics(), self.folder / "broker.log")

    def forget(self, topic: str, partition: int, before: int) -> None:
        """Delete the records before an offset, as retention does."""
        self.admin.delete_records({TopicPartition(topic, partition): before})

    def topic_id(self, topic: str) -> str:
        """What the broker calls this incarnation of a topic."""
        return str(self.admin.describe_topics([topic])[0]["topic_id"])

    def segments(self, topic: str, partition: int) -> list[Path]:
        """Files that hold a partition's records."""
        return sorted((self.folder / "data" / f"{topic}-{partition}").glob("*.log"))

    @property
    def admin(self) -> KafkaAdminClient:
        """An administrator's connection."""
        if self._admin is None:
            self._admin = KafkaAdminClient(bootstrap_servers=self.address(), api_version=self.api_version)
        return self._admin

    def produce(
        self,
        topic: str,
        values: Sequence[bytes],
        *,
        partition: int = -1,
        codec: str = "none",
        headers: Sequence[str] = (),
        config: Sequence[str] = (),
    ) -> None:
        """Send one message per value with kcat, which shares no code with the product. Values hold no \\x1f; an empty one is
        an empty message.

        Args:
            topic: which exists.
            values: of the messages.
            partition: -1 spreads them.
            codec: none, gzip, lz4, zstd or snappy.
            headers: `name=value`.
            config: further `name=value` of librdkafka.
        """
        command = [found("kcat", "kcat"), "-P", "-b", self.address(), "-t", topic, "-p", str(partition), "-D", "\x1f"]
        command += ["-X", f"compression.codec={codec}", "-X", "sticky.partitioning.linger.ms=0"]
        for header in headers:
            command += ["-H", header]
        for option in config:
            command += ["-X", option]
        sent = subprocess.run(
            command, input=b"\x1f".join(values), capture_output=True, check=False, timeout=PATIENCE_SECONDS
        )
        assert sent.returncode == 0, sent.stderr.decode()

    def tombstones(self, topic: str, count: int) -> None:
        """Messages without a value, but with a key."""
        command = [found("kcat", "kcat"), "-P", "-b", self.address(), "-t", topic, "-Z", "-K", "\t"]
        subprocess.run(command, input=b"key\t\n" * count, capture_output=True, check=True, timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _end(self, how: signal.Signals) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self._process and self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _until(self, condition: Callable[[], bool], log: Path) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            ended = self._process is not None and self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                pytest.fail(f"the broker does not serve: {log.read_text(errors='replace')[-2000:]}")
            threading.Event().wait(0.1)

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        names = ["PLAINTEXT", "CONTROLLER", *(["SASL_PLAINTEXT", "SSL", "SASL_SSL"] if self.secured else [])]
        self.ports = {name: free_port() for name in names}
        listeners = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items())
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": self.address("CONTROLLER"),
            "controller.listener.names": "CONTROLLER",
            "listeners": listeners,
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,"
            + ",".join(f"{n}:{n}" for n in names if n != "CONTROLLER"),
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.num.partitions": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "broker.heartbeat.interval.ms": "500",
            "broker.session.timeout.ms": "2000",  # a killed broker may not come back before
            "log.retention.check.interval.ms": "500",
            "log.initial.task.delay.ms": "500",
            **(self._security() if self.secured else {}),
            **self.settings,
        }
        path = self.folder / "server.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        scram = [f"{name}=[name={USER},password={PASSWORD}]" for name in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
        formatted = subprocess.run(
            [
                *_java("256m"),
                "kafka.tools.StorageTool",
                "format",
                "--cluster-id",
                "MkU3OEVBNTcwNTJENDM2Qk",
                "--standalone",
                "--config",
                str(path),
                *(part for one in (scram if self.secured else []) for part in ("--add-scram", one)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert formatted.returncode == 0, formatted.stdout + formatted.stderr

    def _security(self) -> dict[str, str]:
        keys = _certificates(self.folder)
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        properties = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(keys),
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        }
        for name in ("sasl_plaintext", "sasl_ssl"):
            properties[f"listener.name.{name}.plain.sasl.jaas.config"] = f'{plain} user_{USER}="{PASSWORD}";'
            properties[f"listener.name.{name}.scram-sha-256.sasl.jaas.config"] = scram
            properties[f"listener.name.{name}.scram-sha-512.sasl.jaas.config"] = scram
        return properties


def _java(memory: str) -> list[str]:
    quick = [
        f"-Xmx{memory}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
    ]
    return [found("java", "default-jre-headless"), *quick, "-cp", f"{jars()}/*"]


def _certificates(folder: Path) -> Path:
    """A CA (ca.pem), and a key with a certificate of 127.0.0.1 that it signed. Returns: the file with both."""
    openssl = found("openssl", "openssl")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    ca = ("-CA", "ca.pem", "-CAkey", "ca.key")
    run(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "2",
        "-subj",
        "/CN=tests",
    )
    run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "broker.key", "-out", "broker.csr", "-subj", "/CN=127.0.0.1")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    run(
        "x509",
        "-req",
        "-in",
        "broker.csr",
        *ca,
        "-CAcreateserial",
        "-out",
        "broker.pem",
        "-days",
        "2",
        "-extfile",
        "names",
    )
    both = folder / "broker.both.pem"
    both.write_text((folder / "broker.key").read_text() + (folder / "broker.pem").read_text())
    return both


class MockBroker:
    """librdkafka's mock cluster, inside this process: no disk, no security, no deleting of topics, 5 MiB per partition.

    Attributes:
        api_version: what kafka-python has to be told.
        real: False.
    """

    api_version = MOCK_VERSION
    real = False

    def __init__(self) -> None:
        try:
            import confluent_kafka
        except ImportError:
            lacking("no Kafka at all: neither Java and Maven, nor the package confluent-kafka for the mock")
        libraries = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
        self._library = library = ctypes.CDLL(str(next(libraries.glob("librdkafka*.so*"))))
        for name, arguments in {
            "rd_kafka_conf_new": [],
            "rd_kafka_new": [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t],
            "rd_kafka_mock_cluster_new": [ctypes.c_void_p, ctypes.c_int],
        }.items():
            getattr(library, name).restype = ctypes.c_void_p
            getattr(library, name).argtypes = arguments
        library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        library.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
        library.rd_kafka_mock_topic_create.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
        library.rd_kafka_mock_group_initial_rebalance_delay_ms.argtypes = [ctypes.c_void_p, ctypes.c_int32]
        client = library.rd_kafka_new(0, library.rd_kafka_conf_new(), ctypes.create_string_buffer(512), 512)
        self._cluster = library.rd_kafka_mock_cluster_new(client, 1)
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)

    def address(self, listener: str = "PLAINTEXT") -> str:
        """`host:port` of its one listener."""
        assert listener == "PLAINTEXT"
        return str(self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode())

    def create(self, topic: str, *, partitions: int = 1) -> None:
        """A new topic."""
        assert self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1) == 0

    produce = Broker.produce


def mock_instead(reason: str) -> None:
    """Say loudly that only the mock is there; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    print(f"WARNING: {reason}; Kafka tests run against librdkafka's mock, which proves less", file=sys.stderr)


@contextlib.contextmanager
def real_broker(folder: Path, *, secured: bool = False) -> Iterator[Broker]:
    """A real broker, or the end of the test."""
    if reason := why_no_broker():
        lacking(reason)
    with Broker(folder, secured=secured) as broker:
        yield broker
