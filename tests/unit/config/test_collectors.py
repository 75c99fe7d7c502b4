"""Sources that collect: how records arrive, checked before the first of them does."""

from __future__ import annotations

from pathlib import Path

import pytest

from apportion.config.environment import Secret
from apportion.config.sources import FilesSource, HttpSource, KafkaSource, Source
from tests.unit.config.conftest import Loaded, Problems

KAFKA = (
    '[[sources]]\nname = "k"\ncollector = "kafka"\nformat = "usage"\nbrokers = ["kafka:9092"]\ntopics = ["a", "b"]\n'
)
FILES = '[[sources]]\nname = "f"\ncollector = "files"\nformat = "usage"\npaths = ["/var/log/*.log"]\n'
HTTP = '[[sources]]\nname = "h"\ncollector = "http"\nformat = "litellm"\ntoken = { env = "PATH" }\n'
SASL = 'mechanism = "SCRAM-SHA-512"\nusername = "u"\npassword = { env = "PATH" }\n'
JSON = 'format = "json"\nkind = "usage"\ntime = { column = "t" }\ncolumns = { model = "m", output_tokens = "o", event_id = "i" }\n'
LINES = 'format = "json"\nkind = "usage"\ntime = { column = "t" }\ncolumns = { model = "m", output_tokens = "o" }\nevent_id = "{file}:{line}"\n'
MAPPING = f'[[sources]]\nname = "m"\n{JSON}'


def of(text: str, **changes: str) -> str:
    """A table with some of its lines written otherwise, by key; an empty text leaves the line out."""
    kept = [line for line in text.splitlines() if line.partition(" = ")[0] not in changes]
    return "\n".join([*kept, *(f"{key} = {value}" for key, value in changes.items() if value), ""])


def test_a_source_says_how_it_arrives_and_what_it_says(loaded: Loaded, tmp_path: Path) -> None:
    """Each collector has its own keys, with a default for all that need not be said."""
    config = loaded(
        HTTP + 'accepts = ["litellm", "vllm-*"]\nevents_per_second = 50\n'
        + of(KAFKA, formats='{ b = "gpu" }', batch_seconds="0.25") + of(FILES, paths='["/var/log/*.log", "logs/**/*.log"]')
    )  # fmt: skip
    assert config.sources == (
        Source(
            name="h",
            collector="http",
            format="litellm",
            http=HttpSource(token=Secret("PATH"), events_per_second=50),
            accepts=("litellm", "vllm-*"),
        ),
        Source(
            name="k",
            collector="kafka",
            format="usage",
            kafka=KafkaSource(brokers=("kafka:9092",), topics=("a", "b"), formats={"b": "gpu"}, batch_seconds=0.25),
        ),
        Source(
            name="f",
            collector="files",
            format="usage",
            files=FilesSource(paths=("/var/log/*.log", str(tmp_path / "logs/**/*.log")), poll_seconds=5),
        ),
    )
    assert config.mappings == {}
    assert config.warnings == ()


def test_the_defaults_of_kafka_are_those_of_an_open_broker(loaded: Loaded) -> None:
    """Nothing but brokers and topics must be said; whole seconds stay integers."""
    kafka = loaded(KAFKA + "batch_seconds = 2\n").sources[0].kafka
    assert kafka is not None
    assert (kafka.group, kafka.format_header, kafka.start, kafka.consumers) == (
        "apportion", "apportion-format", "earliest", 1,
    )  # fmt: skip
    assert (kafka.batch_seconds, type(kafka.batch_seconds)) == (2, int)
    assert (kafka.security, kafka.mechanism, kafka.username, kafka.password, kafka.ca_file) == (
        "PLAINTEXT", None, None, None, None,
    )  # fmt: skip


def test_a_connection_is_secured_by_files_beside_the_config(loaded: Loaded, tmp_path: Path) -> None:
    """SASL over TLS: relative files are beside the config file, and the password stays in the environment."""
    for name in ("ca.pem", "mine.pem", "mine.key"):
        (tmp_path / name).write_text("")
    kafka = loaded(
        KAFKA + SASL
        + 'security = "SASL_SSL"\nca_file = "ca.pem"\ncertificate_file = "mine.pem"\nkey_file = "mine.key"\n'
    ).sources[0].kafka  # fmt: skip
    assert kafka is not None
    assert (kafka.mechanism, kafka.username, kafka.password) == ("SCRAM-SHA-512", "u", Secret("PATH"))
    assert (kafka.ca_file, kafka.certificate_file, kafka.key_file) == (
        tmp_path / "ca.pem", tmp_path / "mine.pem", tmp_path / "mine.key",
    )  # fmt: skip


def test_a_source_may_describe_its_own_format_or_name_anothers(loaded: Loaded) -> None:
    """A mapping beside a collector is a format under the source's name, and any other source may use it."""
    config = loaded(of(FILES, format="") + JSON + of(KAFKA, format='"f"', formats='{ b = "m" }') + MAPPING)
    assert [(source.name, source.format, source.mapping is not None) for source in config.sources] == [
        ("f", "f", True), ("k", "f", False), ("m", "m", True),
    ]  # fmt: skip
    assert list(config.mappings) == ["f", "m"]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (of(HTTP, collector='"mqtt"'), "collector", "is 'mqtt'; write one of files, kafka, http"),
        (of(HTTP, name='"http"'), "name", "'http' is the source that the token of [http] admits; choose another"),
        (of(HTTP, name='"litellm"'), "name", "'litellm' is the name of a known format; choose another"),
        (of(HTTP, name='"json"'), "name", "'json' is the name of a known format; choose another"),
        (of(HTTP, name='"a b"'), "name", "is 'a b', and metrics and positions bear it; write letters, digits"),
        (of(HTTP, format=""), "format", "is missing, and there is no default; add it"),
        (of(HTTP, format='"otel"'), "format", "unknown format 'otel'; known are anthropic, apisix, bedrock"),
        (of(HTTP, format='"h"'), "format", "unknown format 'h'; known are"),
        (of(HTTP, collector=""), "collector", 'is missing, and format = "litellm" needs no description; write one of files, kafka, http'),
        (of(HTTP, token='"secret"'), "token", "must not hold the secret itself; name an environment variable"),
        (of(HTTP, events_per_second="0"), "events_per_second", "is 0; write an integer from 1 to 1000000"),
        (of(HTTP, accepts="[]"), "accepts", 'is empty; write a list, such as ["litellm", "vllm-*"]'),
        (of(HTTP, accepts='"litellm"'), "accepts", "is a string; write a list, such as"),
        (of(HTTP, accepts='["a", "a"]'), "accepts", "names a twice; write each once"),
        (of(HTTP, paths='["/a"]'), "paths", 'is only for collector = "files"; write that, or remove the key'),
        (of(HTTP, topics='["a"]'), "topics", 'is only for collector = "kafka"; write that, or remove the key'),
        (of(HTTP, topiks='["a"]'), "topiks", "unknown key 'topiks'; known are"),
        (of(HTTP, kind='"usage"'), "kind", 'is only for format = "csv" or "json"; format = "litellm" needs no description'),
        (of(MAPPING, accepts='["a"]'), "accepts", "is only for a source with a collector; add one, or remove the key"),
        (of(MAPPING, token='{ env = "PATH" }'), "token", 'is only for collector = "http" or "prometheus"; write that, or remove the key'),
        (of(FILES, paths=""), "paths", "is missing, and there is no default; add it"),
        (of(FILES, paths="[]"), "paths", 'is empty; write a list, such as ["/var/log/sglang/*.log"]'),
        (of(FILES, paths='["s3://bucket/*.log"]'), "paths", "'s3://bucket/*.log' begins with s3://, and files are read from this machine's folders only"),
        (of(FILES, paths='["https://host/a.log"]'), "paths", "sync or mount it, and write the folder"),
        (of(FILES, paths='["/var/**.log"]'), "paths", "'/var/**.log' is no pattern of files; write `**` only as a whole folder name"),
        (of(FILES, paths='["/"]'), "paths", "'/' is no pattern of files; write"),
        (of(FILES, poll_seconds="0"), "poll_seconds", "is 0; write an integer from 1 to 3600"),
        (of(KAFKA, brokers=""), "brokers", "is missing, and there is no default; add it"),
        (of(KAFKA, brokers='["kafka"]'), "brokers", "names 'kafka'; write host:port, such as \"kafka:9092\""),
        (of(KAFKA, brokers='["kafka:70000"]'), "brokers", "names 'kafka:70000'; write host:port"),
        (of(KAFKA, brokers='["SSL://kafka:9092"]'), "brokers", "names 'SSL://kafka:9092'; write host:port"),
        (of(KAFKA, topics=""), "topics", "is missing, and there is no default; add it"),
        (of(KAFKA, topics='["usage.*"]'), "topics", "names 'usage.*', which no topic can be called; write letters"),
        (of(KAFKA, topics='["."]'), "topics", "names '.', which no topic can be called; write letters"),
        (of(KAFKA, formats='{ c = "gpu" }'), "formats.c", "unknown topic 'c'; known are a, b"),
        (of(KAFKA, formats='{ b = "gup" }'), "formats.b", "unknown format 'gup'; did you mean gpu?"),
        (of(KAFKA, start='"newest"'), "start", "is 'newest'; write one of earliest, latest"),
        (of(KAFKA, consumers="65"), "consumers", "is 65; write an integer from 1 to 64"),
        (of(KAFKA, batch_seconds="0"), "batch_seconds", "is 0; write seconds from 0.01 to 60"),
        (of(KAFKA, batch_seconds="61"), "batch_seconds", "is 61; write seconds from 0.01 to 60"),
        (of(KAFKA, batch_seconds="nan"), "batch_seconds", "is NaN; write a finite number"),
        (of(KAFKA, security='"TLS"'), "security", "is 'TLS'; write one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        (of(KAFKA + SASL, security='"SASL_SSL"', mechanism='"GSSAPI"'), "mechanism", "is 'GSSAPI'; write one of PLAIN"),
        (of(KAFKA + SASL, security='"SASL_SSL"', mechanism=""), "mechanism", "is missing, and security = SASL_SSL asks for it; write one of PLAIN, SCRAM-SHA-256"),
        (of(KAFKA + SASL, security='"SASL_SSL"', username=""), "username", "is missing, and security = SASL_SSL asks for it; write the user"),
        (of(KAFKA + SASL, security='"SASL_SSL"', password=""), "password", 'is missing, and security = SASL_SSL asks for it; write { env = "NAME" }'),
        (of(KAFKA, username='"u"'), "username", "is for SASL, and security is PLAINTEXT; write security = SASL_PLAINTEXT or SASL_SSL"),
        (of(KAFKA, username='"u"', security='"SSL"'), "username", "is for SASL, and security is SSL; write security = SASL_SSL, or remove"),
        (of(KAFKA, ca_file='"/dev/null"'), "ca_file", "is for TLS, and security is PLAINTEXT; write security = SSL, or remove the key"),
        (of(KAFKA, security='"SSL"', ca_file='"/no/ca.pem"'), "ca_file", "'/no/ca.pem' cannot be read (No such file or directory); correct the path"),
        (of(KAFKA, security='"SSL"', ca_file=f'"/{"x" * 300}"'), "ca_file", "cannot be read (File name too long); correct the path"),
        (of(KAFKA, security='"SSL"', key_file='"/dev/null"'), "key_file", "stands without certificate_file; name the certificate"),
    ],
)  # fmt: skip
def test_a_wrong_source_names_its_place(text: str, place: str, said: str, problems: Problems) -> None:
    """Each is one problem with its remedy, and none is followed by others that it caused."""
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"apportion.toml:sources[0].{place}: ")
    assert said in found[0]


def test_every_problem_of_every_source_is_told_at_once(problems: Problems) -> None:
    """One look at the answer is enough to put all of it right."""
    text = (
        of(FILES, paths="", format='"x"', collecter='"a"')
        + of(KAFKA, brokers="[]", start="1")
        + of(HTTP, topics='["a"]')
    )
    assert [problem.partition(": ")[0].removeprefix("apportion.toml:") for problem in problems(text)] == [
        "sources[0].format", "sources[0].paths", "sources[1].brokers", "sources[1].start", "sources[2].topics",
        "sources[0].collecter",
    ]  # fmt: skip


@pytest.mark.parametrize("collector", ["kafka", "http"])
def test_a_message_has_no_header_line(collector: str, problems: Problems) -> None:
    """CSV arrives in files only, whether a source describes it or names it."""
    csv = MAPPING.replace('"json"', '"csv"')
    arriving = {"kafka": KAFKA, "http": HTTP}[collector]
    unit = {"kafka": "message", "http": "request"}[collector]
    own, named = problems(of(arriving, format="") + JSON.replace('"json"', '"csv"') + csv + of(arriving, format='"m"', name='"y"', topics='["c"]' if collector == "kafka" else "", token='{ env = "HOME" }' if collector == "http" else ""))  # fmt: skip
    name = arriving.split('"')[1]
    said = f"is csv, which begins with a header line, and a {unit} has none; send json, or collect files"
    assert own == f"apportion.toml:sources[0].format: '{name}' {said}"
    assert named == f"apportion.toml:sources[2].format: 'm' {said}"


def test_a_message_has_no_line_number(problems: Problems) -> None:
    """An id of file and line would change with every delivery, and the event be billed as often."""
    mapping = f'[[sources]]\nname = "m"\n{LINES}'
    own, named = problems(mapping + of(KAFKA, format="") + LINES + of(HTTP, format='"m"'))
    assert own == (
        "apportion.toml:sources[1].event_id: builds ids of {file}, {line}, which a message has not, and one that is sent "
        "twice would be billed twice; build them of columns only"
    )
    assert named.startswith(
        "apportion.toml:sources[2].format: 'm' builds ids of {file}, {line}, which a request has not"
    )
    assert problems(mapping + of(KAFKA, formats='{ b = "m" }'))[0].startswith(
        "apportion.toml:sources[1].formats.b: 'm' builds ids of {file}, {line}"
    )


def test_files_have_lines_and_headers(loaded: Loaded) -> None:
    """What cannot arrive in messages can be followed in files."""
    assert loaded(of(FILES, format="") + LINES.replace('"json"', '"csv"')).sources[0].collector == "files"


def test_what_a_mapping_says_of_its_source_is_accepted_there(problems: Problems, loaded: Loaded) -> None:
    """A glob that the mapping's constant source does not match would refuse every event."""
    text = of(KAFKA, format='"m"', accepts='["litellm"]') + MAPPING
    assert problems(text) == (
        (
            "apportion.toml:sources[0].accepts: is litellm, and 'm' names every event's source 'file:m', so all would be refused; "
            "add that, or write constants.source"
        ),
    )
    assert loaded(text + 'constants = { source = "litellm" }\n').sources[0].accepts == ("litellm",)


def test_names_differ_whatever_they_name(problems: Problems) -> None:
    """A collector and a mapping of one name would be one format, or two sources in one line of metrics."""
    assert problems(FILES + of(HTTP, name='"f"')) == (
        "apportion.toml:sources[1].name: 'f' is the name of apportion.toml:sources[0] too; choose another",
    )


def test_a_token_says_who_sends(problems: Problems) -> None:
    """Two sources with one token cannot be told apart; that of [http] is a source's too."""
    said = "and it says who sends; give each source its own"
    assert problems('[http]\ntoken = { env = "PATH" }\n' + HTTP + of(HTTP, name='"i"', token='{ env = "HOME" }')) == (
        f"apportion.toml:sources[0].token: PATH is the token of apportion.toml:http.token too, {said}",
    )
    assert problems(HTTP + of(HTTP, name='"i"')) == (
        f"apportion.toml:sources[1].token: PATH is the token of apportion.toml:sources[0].token too, {said}",
    )


def test_a_topic_is_read_once_in_a_group(problems: Problems, loaded: Loaded) -> None:
    """Two sources in one group would each get some partitions of both; groups of their own each get all."""
    other = of(KAFKA, name='"l"', brokers='["other:1", "kafka:9092"]', topics='["b", "c"]')
    assert problems(KAFKA + other) == (
        (
            "apportion.toml:sources[1].topics: names b, which apportion.toml:sources[0] reads in the same group 'apportion'; "
            "read each topic in one source, or write another group"
        ),
    )
    assert len(loaded(KAFKA + of(other, group='"mine"')).sources) == 2
    assert len(loaded(KAFKA + of(other, topics='["c"]')).sources) == 2
    assert len(loaded(KAFKA + of(other, brokers='["other:1"]')).sources) == 2


def test_what_works_but_hardly_as_meant_is_a_warning(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset variables, a password on an open line, a sender nobody knows, files read twice."""
    monkeypatch.delenv("NOT_THERE", raising=False)
    config = loaded(
        of(KAFKA + SASL, security='"SASL_PLAINTEXT"', mechanism='"PLAIN"', password='{ env = "NOT_THERE" }')
        + of(HTTP, token="")
        + FILES
        + of(FILES, name='"g"')
    )
    assert config.warnings == (
        "apportion.toml:sources[0].password: NOT_THERE is not set in the environment; export it before `apportion serve`",
        (
            "apportion.toml:sources[0].security: is SASL_PLAINTEXT with mechanism PLAIN, which sends the password as it is; "
            "write SASL_SSL, or a SCRAM mechanism"
        ),
        'apportion.toml:sources[1].token: is missing, and it is by its token that a sender is known; add token = { env = "NAME" }',
        (
            "apportion.toml:sources[3].paths: names /var/log/*.log, which apportion.toml:sources[2] reads too, so each record "
            "arrives twice; keep one of them"
        ),
    )


@pytest.mark.parametrize(
    ("listen", "more", "warned"),
    [
        ("127.0.0.1:1", "", False),
        ("127.8.8.8:1", "", False),
        ("[::1]:1", "", False),
        ("localhost:1", "", False),
        ("0.0.0.0:1", "", True),
        (":1", "", True),
        ("[::]:1", "", True),
        ("10.0.0.1:1", "", True),
        ("apportion.example:1", "", True),
        ("0.0.0.0:1", 'token = { env = "PATH" }\n', False),
        ("0.0.0.0:1", HTTP, False),
    ],
)
def test_a_listener_beyond_loopback_wants_a_token(listen: str, more: str, warned: bool, loaded: Loaded) -> None:
    """Without any, what is sent there is refused, which is worth a word before the first event is lost."""
    config = loaded(f'[http]\nlisten = "{listen}"\n{more}')
    assert [warning.partition(": ")[0] for warning in config.warnings] == ["apportion.toml:http.listen"] * warned
    assert config.http.listen.loopback is not (warned or bool(more))


def test_bodies_are_bounded(loaded: Loaded, problems: Problems) -> None:
    """One request fits into all that wait; the default of the whole grows with a larger one."""
    assert (loaded("").http.body_bytes_max, loaded("").http.pending_bytes_max) == (32 * 2**20, 256 * 2**20)
    assert loaded("[http]\nbody_bytes_max = 1_000_000_000\n").http.pending_bytes_max == 1_000_000_000
    assert problems("[http]\nbody_bytes_max = 1000\n") == (
        "apportion.toml:http.body_bytes_max: is 1000; write an integer from 1024 to 1073741824",
    )
    assert problems("[http]\nbody_bytes_max = 4096\npending_bytes_max = 2048\n") == (
        (
            "apportion.toml:http.pending_bytes_max: is 2048, less than body_bytes_max, 4096, so that one large request would never "
            "fit; raise it"
        ),
    )


def test_secrets_are_masked_wherever_they_stand(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the resolved config nor any of its values holds one."""
    monkeypatch.setenv("TOKEN_OF_H", "s3cret-token")
    monkeypatch.setenv("PASSWORD_OF_K", "s3cret-password")
    config = loaded(
        of(HTTP, token='{ env = "TOKEN_OF_H" }')
        + of(KAFKA + SASL, security='"SASL_SSL"', password='{ env = "PASSWORD_OF_K" }')
    )
    assert "s3cret" not in f"{config.resolved()} {config}"
    assert "'TOKEN_OF_H', 'value': '********'" in str(config.resolved())
