"""Requests that keep their promises, and the intervals they are judged by. Words differ between tools; each definition has its name."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from metering.efficiency.exact import Exact, ratio


def disaggregated(prefill_rate: Exact, prefill_gpus: int, decode_rate: Exact, decode_gpus: int) -> Exact:
    """Requests per second that both phases sustain: the slower side decides. Source: Zhong et al. 2024, section 1."""
    return min(prefill_rate * prefill_gpus, decode_rate * decode_gpus)


def per_gpu(requests_per_second: Exact, gpus: int) -> Fraction:
    """Goodput of one GPU."""
    return ratio(requests_per_second, gpus)


def observed(good_requests: int, seconds: Exact) -> Fraction:
    """Requests of one run that met all limits, per second of it; no statement about what the fleet could do."""
    return ratio(good_requests, seconds)


def inter_chunk(chunk_times: Sequence[Exact]) -> list[Exact]:
    """Gaps between the chunks of one stream (AIPerf's ICL). Raises: ValueError where a chunk does not follow its predecessor."""
    gaps = [later - earlier for earlier, later in pairwise(chunk_times)]
    if any(gap <= 0 for gap in gaps):
        msg = "a chunk does not come after the one before it; order the stream by time"
        raise ValueError(msg)
    return gaps


def inter_token(latency: Exact, first_token: Exact, output_tokens: int) -> Fraction | None:
    """Mean time per output token after the first (TPOT); None for one token, which has no interval."""
    return ratio(latency - first_token, output_tokens - 1) if output_tokens > 1 else None
