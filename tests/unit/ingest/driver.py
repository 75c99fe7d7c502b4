"""A driver to ask: the real pynvml over a library of ours that stands in for NVIDIA's, compiled when first used."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NOT_LOADED, LIBRARY_NOT_FOUND, FUNCTION_NOT_FOUND, LOST, MISMATCH, NO_PERMISSION, UNKNOWN = 9, 12, 13, 15, 18, 4, 999


class Driver:
    """What the library will answer from now on."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.set()

    def set(
        self, *, gpus: int = 4, init: int = 0, count: int = 0, failing: int = 0, after: int = 0, old: bool = False
    ) -> None:
        """How many GPUs there are, the codes of starting and counting, and when GPU 3 fails and how."""
        self._library.driver_set(gpus, init, count, failing, after, int(old))


def build(folder: Path) -> Driver:
    """Compile and load the library. Skips where that cannot be done, and fails there in CI."""
    compiler = shutil.which("cc")
    for reason in [
        *(["no C compiler; on Debian: apt-get install gcc"] if compiler is None else []),
        *(
            ["nvidia-ml-py is not installed; pip install 'apportion[nvml]'"]
            if importlib.util.find_spec("pynvml") is None
            else []
        ),
    ]:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    assert compiler is not None
    library = folder / "libnvidia-ml.so.1"
    flags = ["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1"]
    subprocess.run([compiler, *flags, "-o", str(library), str(Path(__file__).with_name("driver.c"))], check=True)
    return Driver(ctypes.CDLL(str(library)))  # whoever asks for the name afterwards gets this one
