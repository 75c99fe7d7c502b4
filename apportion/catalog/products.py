"""From the names that drivers, exporters and Kubernetes give GPUs to ids of the hardware catalog."""

from __future__ import annotations

import re
from typing import Final

from apportion.catalog import hardware

_NAMES: Final = {
    "a10": "A10", "a10g": "A10G", "l4": "L4", "l40s": "L40S", "h20": "H20", "b200": "B200_SXM", "b300": "B300_SXM",
    "a100 sxm4 40gb": "A100_40GB_SXM", "a100 sxm4 80gb": "A100_80GB_SXM", "a100 pcie 40gb": "A100_40GB_PCIE",
    "a100 80gb pcie": "A100_80GB_PCIE", "h100 80gb hbm3": "H100_SXM", "h100 pcie": "H100_PCIE", "h100 nvl": "H100_NVL",
    "h200": "H200_SXM", "h200 nvl": "H200_NVL", "h800": "H800_SXM", "gh200 480gb": "GH200", "rtx a6000": "A6000",
    "rtx pro 6000 blackwell server edition": "RTX_PRO_6000_SERVER", "instinct mi300x": "MI300X", "instinct mi300x oam": "MI300X",
    "instinct mi325x": "MI325X", "instinct mi325x oam": "MI325X", "instinct mi350x": "MI350X", "instinct mi355x": "MI355X",
    "instinct mi355x oam": "MI355X",
}  # fmt: skip
"""Product names as NVML and AMD SMI report them, without the maker; marks between words count alike."""


def gpu_of(name: str) -> str | None:
    """The catalog id that a product name stands for, or None; ids stand for themselves."""
    if hardware.find(name) is not None:
        return name
    words = re.sub(r"[-_\s]+", " ", name).strip().lower()
    words = re.sub(r"^(nvidia|amd) ", "", words)
    words = re.sub(r" mig \d+g\.\d+gb$| shared$", "", words)  # labels of GPU feature discovery
    return _NAMES.get(words)
