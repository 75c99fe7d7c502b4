"""What the ledger shows of the fleet that the config does not say, or that a setting of a source loses: each with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from apportion.ledger.connection import Session
from exporters.amounts import grouped

_MODELS: Final = """
SELECT DISTINCT model_id FROM chargeback
WHERE token_kind <> '' AND billing_period = (SELECT max(billing_period) FROM chargeback) ORDER BY model_id
"""
_MONTH: Final = "SELECT coalesce(strftime(max(billing_period), '%Y-%m'), '') FROM chargeback"
_POOLS: Final = """
SELECT pool_id FROM pool_shares WHERE pool_id <> '' AND billing_period = (SELECT max(billing_period) FROM pool_shares) ORDER BY pool_id
"""
_FOUND: Final = """
SELECT finding, subject, detail, affected, total
FROM (SELECT * FROM discoveries UNION ALL BY NAME SELECT * FROM overloads)
ORDER BY finding, affected DESC, subject, detail
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What a finding means.

    Attributes:
        unit: what is counted.
        said: a sentence about a subject.
        remedy: what to do about it.
    """

    unit: str
    said: str
    remedy: str


_ADVICE: Final[Mapping[str, Advice]] = {
    "unplaced_model": Advice(
        unit="tokens",
        said="no deployment takes all usage of model {subject}",
        remedy="name it in the `models` of a [[deployments]] table, or as an alias in [[model_aliases]]; where several serve it, "
        "let events name theirs",
    ),
    "unmapped_caller": Advice(
        unit="tokens",
        said="principal {subject} ({detail}) has no team",
        remedy="add a rule for it to [directory]",
    ),
    "missing_usage": Advice(
        unit="events",
        said="{subject} reports requests without token counts",
        remedy='ask for them: clients set stream_options = {{"include_usage": true}}, or vLLM runs with --enable-force-include-usage',
    ),
    "estimated_usage": Advice(
        unit="events",
        said="{subject} estimates token counts with a tokenizer of its own",
        remedy='have the engine count: stream_options = {{"include_usage": true}}, or vLLM\'s --enable-force-include-usage',
    ),
    "partial_usage": Advice(
        unit="events",
        said="{subject} leaves part of the counts out, or they contradict each other",
        remedy="let the engine tell what was cached: vLLM --enable-prompt-tokens-details, SGLang --enable-cache-report",
    ),
    "clock_ahead": Advice(
        unit="events",
        said="the clock of {subject} runs ahead, by up to {detail} s",
        remedy="synchronise its host's clock; until then its events are placed at arrival",
    ),
    "no_gpu_telemetry": Advice(
        unit="hours",
        said="no GPU of deployment {subject} is seen, so that its cost stays unmeasured",
        remedy="scrape its exporter as a [[sources]] table, let the deployment's `match` fit the samples, or set another `utilization`",
    ),
    "thin_gpu_telemetry": Advice(
        unit="hours",
        said="GPU samples of deployment {subject} leave holes",
        remedy="sample at least as often as sample_hold_seconds, from every GPU that the deployment holds",
    ),
    "unlogged_tokens": Advice(
        unit="tokens",
        said="engines of deployment {subject} did work that no log explains",
        remedy="see `apportion reconcile` for the hours and likely causes, and find who calls them past the gateway",
    ),
    "untold_cache_reads": Advice(
        unit="tokens",
        said="logs tell of no cached tokens on deployment {subject}, though its engines read some from their cache",
        remedy="let the engine tell what was cached: vLLM --enable-prompt-tokens-details, SGLang --enable-cache-report",
    ),
    "exceeded_capacity": Advice(
        unit="hours",
        said="deployment {subject} did up to {detail} times its capacity; such hours count as fully used, and none of them as idle",
        remedy="write the capacity_per_gpu_hour that it reaches: `apportion calibrate --capacity --deployment {subject}` learns it "
        "from hours that met the service level",
    ),
    "sampled_spans": Advice(
        unit="records",
        said="{subject} sends sampled spans, which are never billed from",
        remedy="let this pipeline keep every span (OTEL_TRACES_SAMPLER=always_on, and no sampling in the collector)",
    ),
    "claimed_identity": Advice(
        unit="events",
        said="callers write into requests who is to pay, as {subject} repeats",
        remedy="nothing has to be done: it is not believed. Whose key it is decides; give teams keys of their own",
    ),
    "dropped_tags": Advice(
        unit="tags",
        said="{subject} carries tags that are not on the allow-list",
        remedy="use them in a rule of [directory], if they should count",
    ),
}

FINDINGS: Final = frozenset(_ADVICE)
"""Every kind of finding there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """One thing to look at.

    Attributes:
        finding: its kind.
        subject: the model, principal, source or deployment.
        affected: how much of it, in `unit`.
        total: of how much; None is unknown.
        unit: what is counted.
        said: a sentence.
        remedy: what to do.
    """

    finding: str
    subject: str
    affected: int
    total: int | None
    unit: str
    said: str
    remedy: str

    @property
    def line(self) -> str:
        """The sentence, its weight and the remedy."""
        of = f" of {self.total:,}" if self.total is not None else ""
        share = f", {self.affected / self.total:.1%}" if self.total else ""
        return f"{self.said} ({self.affected:,}{of} {self.unit}{share}); {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """What is known of a fleet from its records.

    Attributes:
        month: the newest with charges, as 2026-10; empty before the first.
        pools: with charges in it.
        models: that were used in it.
        findings: what to look at, by kind, the weightiest first.
    """

    month: str
    pools: tuple[str, ...]
    models: tuple[str, ...]
    findings: tuple[Discovery, ...]


def discovered(results: Session) -> Discovered:
    """Read it from published results."""
    return Discovered(
        month=str(results.value(_MONTH)),
        pools=tuple(str(row[0]) for row in results.rows(_POOLS)),
        models=tuple(str(row[0]) for row in results.rows(_MODELS)),
        findings=tuple(_discovery(*row) for row in results.rows(_FOUND)),
    )


def _discovery(finding: str, subject: str, detail: str, affected: int, total: int | None) -> Discovery:
    advice = _ADVICE[finding]
    return Discovery(
        finding=finding,
        subject=subject,
        affected=int(affected),
        total=None if total is None else int(total),
        unit=advice.unit,
        said=advice.said.format(subject=subject or "(none)", detail=_shown(finding, detail)),
        remedy=advice.remedy.format(subject=subject),
    )


def _shown(finding: str, detail: str) -> str:
    """A detail as people count: seconds of microseconds, and times of hundredths."""
    if finding == "clock_ahead":
        return f"{-(-int(detail) // 1_000_000):,}"
    return grouped(int(detail), 2, 2) if finding == "exceeded_capacity" else detail
