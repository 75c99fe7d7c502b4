"""What the cause on a line means for whoever reads it: who can change it, and how. The one table of these sentences.

A line has a cause where it has no cost, where it is nobody's, or where it is idle; and other lines have one in their cost kind or team.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A cause of a line.

    Attributes:
        means: what happened, as a part of a sentence.
        owner: who can change it.
        next_step: what they do.
    """

    means: str
    owner: str
    next_step: str

    @property
    def who_can_act(self) -> str:
        """Owner and next step."""
        return f"{self.owner}: {self.next_step}"


_DEPLOYMENT: Final = "who owns the deployment"
_RUNNING: Final = "who runs the deployment"
_CONFIG: Final = "who keeps the config"
_PREFILL: Final = Cause(
    means="several deployments read the model's prompts, and none can be said to be this one's",
    owner="who runs them",
    next_step="one of role prefill for each model, names in requests, or telemetry",
)
"""Idle where nothing shows work, nobody's work where telemetry does."""

IDLE: Final = {
    "unscheduled": Cause(
        means="GPUs of a pool that no deployment holds",
        owner="who plans the pool",
        next_step="buy less, or deploy",
    ),
    "unused_commitment": Cause(
        means="committed GPUs or spend that nothing used",
        owner="who commits",
        next_step="commit less, or move work there",
    ),
    "unused_asset": Cause(
        means="owned GPUs that their pool does not have",
        owner="who owns them",
        next_step="put them to work, or end the asset",
    ),
    "loading": Cause(
        means="declared: weights being loaded, cold starts",
        owner=_RUNNING,
        next_step="fewer restarts, faster loading, warm replicas",
    ),
    "draining": Cause(
        means="declared: finishing requests before it goes",
        owner=_RUNNING,
        next_step="shorter drains, fewer moves",
    ),
    "lost": Cause(
        means="declared: hardware that failed, or was taken away",
        owner="who runs the cluster, or its provider",
        next_step="repair or replace it, and claim what its contract owes",
    ),
    "no_requests": Cause(
        means="nothing asked: engines were empty, or no token that weighs anything was logged",
        owner=_DEPLOYMENT,
        next_step="scale to zero, share it, or bring work",
    ),
    "below_saturation": Cause(
        means="requests ran, and the GPUs had time to spare",
        owner=_DEPLOYMENT,
        next_step="fuller batches, fewer replicas",
    ),
    "below_capacity": Cause(
        means="fewer weighted tokens than the level of service allows",
        owner=_DEPLOYMENT,
        next_step="fewer replicas, or more work on them",
    ),
    "inactive": Cause(
        means="GPUs did nothing, and engines tell too little of why",
        owner=_DEPLOYMENT,
        next_step="let its engines be scraped",
    ),
    "unplaced_prefill": _PREFILL,
}
"""Causes of idle."""

UNPRICED: Final = {
    "unplaced": Cause(
        means="no deployment takes these requests, or several could",
        owner=_CONFIG,
        next_step="let events name their deployment, or add `match` or the model to the [[deployments]] row that served them",
    ),
    "no_price": Cause(
        means="no price of this model is in force",
        owner=_CONFIG,
        next_step="write a [[prices.overrides]] row for it, or name a catalog in [prices]",
    ),
    "no_tier": Cause(
        means="prices are in force, but of other tiers",
        owner=_CONFIG,
        next_step='write a [[prices.overrides]] row with its tier, or with tier = "*" where the tier does not matter',
    ),
    "no_condition": Cause(
        means="prices of this model and tier are in force, but none for a prompt of this length at this time of day",
        owner=_CONFIG,
        next_step="write a [[prices.overrides]] row for what is left: one without `daily` and `above_input_tokens` prices the rest",
    ),
    "no_kind": Cause(
        means="the price in force has none for this kind of token",
        owner=_CONFIG,
        next_step='add the price to its row; cache_read = "input" or reasoning = "output" says that it costs what those do',
    ),
    "no_fx": Cause(
        means="the currency of its price has no exchange rate then",
        owner=_CONFIG,
        next_step="write an [[fx]] row for the currency of its price",
    ),
}
"""Causes of a line without a cost."""

UNATTRIBUTED: Final = {
    "busy_no_tokens": Cause(
        means="GPUs worked, and no token was logged or counted",
        owner=_RUNNING,
        next_step="find the log that is missing (`apportion status` names the sources), or keep other work off these GPUs",
    ),
    "zero_weight": Cause(
        means="tokens were logged, and all of them weigh nothing",
        owner=_CONFIG,
        next_step="give their kind, model or tier a weight above 0 in [policy.weights], [[models]] or [policy] tiers",
    ),
    "unplaced_prefill": _PREFILL,
    "unlogged": Cause(
        means="engines counted these tokens, and no log explains them",
        owner=_RUNNING,
        next_step="see `apportion reconcile` for the likely cause, and find who calls them past the gateway",
    ),
}
"""Causes of work that is nobody's."""

_UNMEASURED: Final = Cause(
    means="no telemetry saw this GPU time",
    owner=_RUNNING,
    next_step="scrape its GPUs as a [[sources]] table and let `match` fit them, or set another `utilization`",
)
_UNMAPPED: Final = Cause(
    means="no rule of the directory knows who called",
    owner="who keeps the directory",
    next_step="add a row for them; `apportion check` names the weightiest",
)

_OVERHEAD: Final = Cause(
    means="a month's shared cost, in equal parts over the month's hours",
    owner=_CONFIG,
    next_step="its [[shared_costs]] row says how much, and by what policy settlement moves it on",
)
_PRICED: Final = Cause(
    means="tokens of an external provider x the price in force when they were used",
    owner="who calls it",
    next_step="`apportion prices list --at T` shows the price",
)

_KINDS: Final = {"overhead": _OVERHEAD, "unmeasured": _UNMEASURED, "external": _PRICED}
"""Kinds of cost whose lines speak for themselves, without a cause."""

CAUSES: Final = {**IDLE, **UNPRICED, **UNATTRIBUTED}
"""Every cause that has something to do, by its name on the line."""


def of_line(cost_kind: str, cause: str, team: str) -> tuple[str, Cause] | None:
    """What there is to say of a line, and its name; None of plain work. A shared cost's line has its id where others have a cause."""
    if cost_kind in _KINDS and (cost_kind == "overhead" or not cause):
        return cost_kind, _KINDS[cost_kind]
    if cause in CAUSES:
        return cause, CAUSES[cause]
    return (team, _UNMAPPED) if team == "__unmapped__" else None


def next_step(cause: str) -> str:
    """What to do about a cause."""
    return CAUSES[cause].next_step if cause in CAUSES else "`apportion explain` shows its hours"
