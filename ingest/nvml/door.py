"""The only way to NVML, NVIDIA's management library: what the driver of this host says of its GPUs, in the driver's own units.

What a device does not support is None, never zero. A MIG instance is told by its GPU's UUID and `PROFILE/NUMBER`, as NVIDIA's
exporter tells it; of power, energy and utilization the driver knows only the whole device's, and gives none for it. Compute
instances that share a GPU instance share its memory too, and are one device here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from apportion.domain.errors import ApportionError

_MIG_NAME: Final = re.compile(r"\bMIG (?:\d+c\.)?(\d+g\.\S+)")
"""How the name of an instance ends: of `MIG 1c.3g.40gb` the GPU instance is 3g.40gb."""
_NOT_AVAILABLE: Final = 2**64 - 1
"""What a counter says that the device has not."""


class NvmlError(ApportionError):
    """The driver cannot be asked, or lists no GPU that answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One device at one time; None is unknown.

    Attributes:
        gpu_uuid: of the whole device.
        mig_profile: `PROFILE/NUMBER` of a MIG instance, such as `3g.40gb/1`; empty for a whole device.
        active_percent: of the last sample period (up to a second), the part in which anything ran.
        memory_used_bytes: allocated, without what the driver reserves for itself where it tells them apart.
        power_milliwatts: drawn.
        energy_millijoules: since the driver was loaded.
    """

    gpu_uuid: str
    mig_profile: str = ""
    active_percent: int | None = None
    memory_used_bytes: int | None = None
    power_milliwatts: int | None = None
    energy_millijoules: int | None = None

    @property
    def says_something(self) -> bool:
        """Whether anything but the device's name is known."""
        return any(
            known is not None
            for known in (self.active_percent, self.memory_used_bytes, self.power_milliwatts, self.energy_millijoules)
        )


@dataclass(frozen=True, slots=True)
class Survey:
    """All devices of the host, looked at once.

    Attributes:
        readings: of those that answered.
        troubles: name of a device (its UUID, or `GPU N`) -> why nothing is known of it.
    """

    readings: tuple[Reading, ...]
    troubles: dict[str, str]


class Nvml:
    """NVML in use, from `open` to `close`. One thread at a time."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._unknown = (
            nvml.NVMLError_NotSupported,
            nvml.NVMLError_FunctionNotFound,  # a driver from before this reading
            nvml.NVMLError_ArgumentVersionMismatch,
            nvml.NVMLError_NoData,
            nvml.NVMLError_NotReady,
        )
        self._met: dict[int, str] = {}

    @classmethod
    def open(cls) -> Nvml:
        """Start NVML. Raises: NvmlError, which says what the host lacks."""
        try:
            import pynvml  # noqa: PLC0415 - an extra, which only hosts with a GPU need
        except ImportError as error:
            msg = "NVML is read with nvidia-ml-py, which is not installed; run pip install 'apportion[nvml]'"
            raise NvmlError(msg) from error
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise NvmlError(_refusal(pynvml, error)) from error
        return cls(pynvml)

    def close(self) -> None:
        """Let go of the driver; what it says of that changes nothing any more."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            return

    def survey(self) -> Survey:
        """Look at every device once. One that fails is named and stops no other.

        Raises: NvmlError when the driver does not even say how many there are.
        """
        nvml, readings, troubles, listed = self._nvml, [], {}, {}
        try:
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as error:
            raise NvmlError(_refusal(nvml, error)) from error
        for index in range(count):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                listed[index] = str(nvml.nvmlDeviceGetUUID(handle))
                found = list(self._device(handle, listed[index]))
            except nvml.NVMLError as error:
                listed.setdefault(index, self._met.get(index, f"GPU {index}"))
                troubles[listed[index]] = str(error)
                continue
            readings += [reading for reading in found if reading.says_something]
            if not any(reading.says_something for reading in found):
                troubles[listed[index]] = "it supports none of the readings"
        for uuid in self._met.values():
            if uuid not in listed.values():
                troubles[uuid] = "the driver does not list it any more"
        self._met |= {index: uuid for index, uuid in listed.items() if uuid not in self._met.values()}
        return Survey(tuple(readings), troubles)

    def _device(self, handle: Any, uuid: str) -> Iterator[Reading]:
        """A whole device, then its MIG instances."""
        nvml = self._nvml
        rates = self._known(nvml.nvmlDeviceGetUtilizationRates, handle)
        yield Reading(
            gpu_uuid=uuid,
            active_percent=None if rates is None else int(rates.gpu),
            memory_used_bytes=self._memory(handle),
            power_milliwatts=self._known(nvml.nvmlDeviceGetPowerUsage, handle),
            energy_millijoules=_available(self._known(nvml.nvmlDeviceGetTotalEnergyConsumption, handle)),
        )
        mode = self._known(nvml.nvmlDeviceGetMigMode, handle)
        met = set()
        for place in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle) if mode and mode[0] else 0):
            try:
                instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
            except nvml.NVMLError_NotFound:
                continue  # places are not filled from the first on
            number = nvml.nvmlDeviceGetGpuInstanceId(instance)
            if number not in met:
                met.add(number)
                profile = f"{self._profile(instance)}/{number}"
                yield Reading(gpu_uuid=uuid, mig_profile=profile, memory_used_bytes=self._memory(instance))

    def _profile(self, instance: Any) -> str:
        """Of a GPU instance, such as `3g.40gb`; by its slices alone where its name does not say."""
        found = _MIG_NAME.search(str(self._nvml.nvmlDeviceGetName(instance)))
        return found[1] if found else f"{self._nvml.nvmlDeviceGetAttributes(instance).gpuInstanceSliceCount}g"

    def _memory(self, handle: Any) -> int | None:
        """Bytes in use; of drivers from before 510 with what they reserve."""
        nvml = self._nvml
        told = self._known(nvml.nvmlDeviceGetMemoryInfo, handle, nvml.nvmlMemory_v2)
        told = told or self._known(nvml.nvmlDeviceGetMemoryInfo, handle)
        return None if told is None else _available(int(told.used))

    def _known(self, ask: Callable[..., Any], *given: Any) -> Any:
        """What the driver answers, None where the device or the driver has no such reading."""
        try:
            return ask(*given)
        except self._unknown:
            return None


def _available(counter: int | None) -> int | None:
    return None if counter == _NOT_AVAILABLE else counter


def _refusal(nvml: Any, error: Exception) -> str:
    """Why the driver cannot be asked, and what to do."""
    sentences = {
        nvml.NVML_ERROR_LIBRARY_NOT_FOUND: "libnvidia-ml.so.1, a part of NVIDIA's driver, is not on this machine; install the "
        "driver, or give the container its GPUs (docker run --gpus all, with NVIDIA_DRIVER_CAPABILITIES=utility)",
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: "NVIDIA's driver is not loaded; run nvidia-smi as root, or see the kernel's log",
        nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "NVIDIA's driver was updated, and the kernel still runs the old one; reboot the "
        "host, or restart the container if its libraries are the old ones",
        nvml.NVML_ERROR_FUNCTION_NOT_FOUND: "NVIDIA's driver is too old for nvidia-ml-py; update the driver to 450 or later",
        nvml.NVML_ERROR_NO_PERMISSION: "this user may not ask NVIDIA's driver; give it access to /dev/nvidiactl and /dev/nvidia*",
    }
    return sentences.get(
        getattr(error, "value", None), f"NVIDIA's driver does not answer ({error}); see what nvidia-smi says"
    )
