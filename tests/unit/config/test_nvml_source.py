"""`collector = "nvml"` reads the GPUs of its own host, and `format = "nvidia-smi"` what that program wrote of them."""

from __future__ import annotations

import pytest

from apportion.config.sources import NvmlSource, Source
from tests.unit.config.conftest import Loaded, Problems

SMI = '[[sources]]\nname = "smi"\nformat = "nvidia-smi"\nzone = "Europe/Berlin"\n'
NVML = '[[sources]]\nname = "gpus"\ncollector = "nvml"\n'


def test_nothing_but_the_collector_must_be_said(loaded: Loaded) -> None:
    """It gives canonical samples every quarter of a minute, under the host's name."""
    assert loaded(NVML).sources == (Source(name="gpus", collector="nvml", format="gpu", nvml=NvmlSource()),)
    assert loaded(NVML).sources[0].nvml == NvmlSource(interval_seconds=15, constants={})


def test_a_source_says_how_often_and_where(loaded: Loaded) -> None:
    """Constants are places of samples; the format may be written, and is the one there is."""
    text = 'format = "gpu"\ninterval_seconds = 60\nconstants = { cluster = "eu", node = "n-1", gpu = "H100_SXM" }\n'
    config = loaded(NVML + text)

    assert config.sources[0].nvml == NvmlSource(
        interval_seconds=60, constants={"cluster": "eu", "node": "n-1", "gpu": "H100_SXM"}
    )
    assert config.mappings == {}
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("line", "place", "said"),
    [
        ("interval_seconds = 0", "interval_seconds", "is 0; write an integer from 1 to 3600"),
        ('interval_seconds = "15s"', "interval_seconds", "is a string; write an integer"),
        ('format = "usage"', "format", "is 'usage', and collector = \"nvml\" gives samples of GPUs; remove it"),
        ('format = "csv"', "format", "is 'csv', and collector = \"nvml\" gives samples of GPUs; remove it"),
        ('constants = { nod = "a" }', "constants.nod", "unknown constant 'nod'; did you mean node?"),
        ('constants = { gpu_uuid = "a" }', "constants.gpu_uuid", "is what each device says of itself; remove it"),
        ('constants = { active_ratio = "1" }', "constants.active_ratio", "is what each device says of itself; remove it"),
        ("constants = { node = 7 }", "constants.node", "is an integer; write a string in quotes"),
        ('constants = "a"', "constants", "is a string; write a table"),
        ('paths = ["/a"]', "paths", 'is only for collector = "files"; write that, or remove the key'),
        ('columns = { gpu_uuid = "u" }', "columns", 'is only for format = "csv" or "json"; format = "gpu" needs no description'),
        ('accepts = ["a"]', "accepts", "is about the source of usage events, and metrics are none; remove the key"),
        ("interval = 15", "interval", "unknown key 'interval'; did you mean interval_seconds?"),
    ],
)  # fmt: skip
def test_a_wrong_key_names_its_place(line: str, place: str, said: str, problems: Problems) -> None:
    """Each is one problem with its remedy."""
    found = problems(f"{NVML}{line}\n")

    assert len(found) == 1, found
    assert found[0].startswith(f"apportion.toml:sources[0].{place}: ")
    assert said in found[0]


def test_keys_of_this_collector_are_for_no_other(problems: Problems) -> None:
    """An interval of files would say something that nobody would do."""
    (found,) = problems(
        '[[sources]]\nname = "f"\ncollector = "files"\nformat = "gpu"\npaths = ["/a"]\ninterval_seconds = 5\n'
    )

    assert "sources[0].interval_seconds: is only for collector = " in found
    assert '"nvml"; write that, or remove the key' in found


def test_the_devices_of_a_host_are_read_once(problems: Problems) -> None:
    """Two sources would land each device twice, as conflicts where they name different places."""
    (found,) = problems(NVML + NVML.replace("gpus", "more"))

    assert found == (
        "apportion.toml:sources[1].collector: is nvml, by which apportion.toml:sources[0] reads every GPU of this host; "
        "keep one of them"
    )


def test_the_columns_of_nvidia_smi_are_known(loaded: Loaded) -> None:
    """The zone of its times has to be said, and where the host is may be; it is a mapping like any other."""
    config = loaded(SMI + 'constants = { node = "n-1" }\n')
    mapping = config.mappings["smi"]

    assert (mapping.kind, mapping.time.zone, mapping.constants) == ("gpu", "Europe/Berlin", {"node": "n-1"})
    assert config.sources[0].format == "smi"
    assert config.warnings == ()


def test_what_nvidia_smi_writes_may_be_followed(loaded: Loaded) -> None:
    """Beside a collector of files, in its own table or in another one."""
    files = 'collector = "files"\npaths = ["/var/log/gpu.csv"]\n'
    config = loaded(SMI + files + f'[[sources]]\nname = "more"\nformat = "smi"\n{files.replace("gpu.csv", "more.csv")}')

    assert [(source.name, source.format) for source in config.sources] == [("smi", "smi"), ("more", "smi")]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (SMI.replace('zone = "Europe/Berlin"\n', ""), "zone", "is missing, and nvidia-smi writes local times without one"),
        (SMI.replace("Europe/Berlin", "Berlin"), "zone", "is 'Berlin', which is no known zone; write an IANA name"),
        (f'{SMI}constants = {{ gpu_uuid = "a" }}\n', "constants.gpu_uuid", "is what each device says of itself; remove it"),
        (f'{SMI}columns = {{ gpu_uuid = "uuid" }}\n', "columns", "unknown key 'columns'"),
        (f'{SMI}kind = "gpu"\n', "kind", "unknown key 'kind'"),
        (f'{SMI}collector = "http"\ntoken = {{ env = "PATH" }}\n', "format", "'smi' is nvidia-smi, which begins with a header line, and a request has none"),
        (SMI.replace('"smi"', '"nvidia-smi"'), "name", "'nvidia-smi' is the name of a known format; choose another"),
    ],
)  # fmt: skip
def test_a_wrong_table_of_nvidia_smi_names_its_place(text: str, place: str, said: str, problems: Problems) -> None:
    """Each is one problem with its remedy."""
    found = problems(text)

    assert len(found) == 1, found
    assert found[0].startswith(f"apportion.toml:sources[0].{place}: ")
    assert said in found[0]
