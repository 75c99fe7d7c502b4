"""metering.inventory_hourly: the GPUs that telemetry saw, by the pool that they are in."""

from __future__ import annotations

from tests.steps.metering.facts import Deployment, Facts, Sample, at

STEP = "metering.inventory_hourly"
QUERY = """
SELECT epoch_us(charge_period_start), pool_id, gpu, node, devices
FROM metering.inventory_hourly JOIN book.pool_key USING (pool_no) ORDER BY ALL
"""
ONE, TWO = at("01:00"), at("02:00")
MINUTE = 60_000_000


def counted(stepped, samples, start=ONE, end=TWO, **facts):
    """Rows of a window."""
    whole = Facts(**{"deployments": (Deployment(),), "samples": tuple(samples), **facts})
    return stepped(whole, STEP, start, end, QUERY)


def seen(gpu: str, when: int = ONE, **more) -> Sample:
    """A reading in deployment d, whatever it says."""
    return Sample(**{"at": when, "ppm": None, "gpu": gpu, "deployment": "d", "node": "n1", **more})


def test_each_gpu_counts_once_an_hour(stepped) -> None:
    """However often it is read, in as many slices and pods as there are, and whether its reading says anything."""
    samples = [
        seen("g1"), seen("g1", ONE + MINUTE, pod="other"), seen("g2", mig="3g.40gb/1"), seen("g2", mig="4g.40gb/2"), seen("g3", node="n2"),
        seen("g1", TWO),
    ]  # fmt: skip

    assert counted(stepped, samples, end=TWO + MINUTE * 60) == [
        (ONE, "p", "H100", "n1", 2),
        (ONE, "p", "H100", "n2", 1),
        (TWO, "p", "H100", "n1", 1),
    ]


def test_a_gpu_that_nobody_or_several_claim_is_of_no_pool(stepped) -> None:
    """It is there all the same; a series without a claim is no contradiction, since an idle GPU has no pod."""
    deployments = (Deployment(id="a", match=(("pod", "a-%"),)), Deployment(id="b", pool="q", match=(("pod", "b-%"),)))
    samples = [
        seen("g1", deployment="", pod="a-1"), seen("g1", ONE + MINUTE, deployment=""), seen("g2", deployment=""),
        seen("g3", deployment="", pod="a-2"), seen("g3", ONE + MINUTE, deployment="", pod="b-1"),
    ]  # fmt: skip

    assert counted(stepped, samples, deployments=deployments) == [
        (ONE, "", "H100", "n1", 2),
        (ONE, "p", "H100", "n1", 1),
    ]
