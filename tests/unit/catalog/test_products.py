"""Names of GPUs as machines say them."""

from __future__ import annotations

import pytest

from apportion.catalog import hardware, products


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("NVIDIA H100 80GB HBM3", "H100_SXM"),
        ("NVIDIA-H100-80GB-HBM3", "H100_SXM"),
        ("NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", "H100_SXM"),
        ("NVIDIA-H100-80GB-HBM3-SHARED", "H100_SXM"),
        ("NVIDIA A100-SXM4-40GB", "A100_40GB_SXM"),
        ("A100 80GB PCIe", "A100_80GB_PCIE"),
        ("AMD Instinct MI300X OAM", "MI300X"),
        ("NVIDIA L40S", "L40S"),
        ("L4", "L4"),
        ("H200_SXM", "H200_SXM"),
        ("NVIDIA H100", None),
        ("Tesla T4", None),
        ("", None),
    ],
)
def test_a_product_name_is_one_gpu_or_none(name: str, gpu: str | None) -> None:
    """As drivers, exporters and Kubernetes' node labels write it; what is ambiguous is not guessed."""
    assert products.gpu_of(name) == gpu


def test_every_name_leads_into_the_catalog() -> None:
    """No name stands for a GPU that nothing is known of."""
    assert set(products._NAMES.values()) <= set(hardware.hardware())
