"""The errors a user can meet. Every message says what was wrong, where, and what to do next.

Bad input records are data, not exceptions: they become rejections. These are for what stops a command.
"""

from __future__ import annotations

from collections.abc import Sequence

from apportion.domain.period import Period


class ApportionError(Exception):
    """Anything a command reports as one sentence; `exit_code` is what the process ends with."""

    exit_code = 1


class ConfigError(ApportionError):
    """The config or the command line is wrong; carries every problem found, each with its place.

    Attributes:
        problems: sentences of the form `file:key: what is wrong; what to do`.
    """

    exit_code = 2

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class UsageError(ApportionError):
    """The command line asks for something that cannot be done as it stands."""

    exit_code = 2


class LedgerError(ApportionError):
    """The ledger cannot be opened or written.

    Attributes:
        holder: the process that has it open, in words; empty where that is not the trouble.
    """

    def __init__(self, sentence: str, holder: str = "") -> None:
        self.holder = holder
        super().__init__(sentence)


class LedgerBroken(LedgerError):
    """DuckDB gave up on the open file: whatever was committed is safe, and only a new process can go on."""


class StepFailed(LedgerError):
    """A step or an audit could not be computed, so nothing of its transaction was kept.

    Attributes:
        step: the table that was being filled, or the truth that was being asked about.
        period: the span it was computed for.
    """

    def __init__(self, step: str, period: Period, said: str) -> None:
        self.step, self.period = step, period
        super().__init__(f"{step} from {period.start:%Y-%m-%dT%H:%MZ} to {period.end:%Y-%m-%dT%H:%MZ}: {said}")


class HoursFailed(ApportionError):
    """Hours could not be computed; all others were metered, and these are tried again with the next run."""


class InputError(ApportionError):
    """A whole file cannot be read; single bad records never raise."""


class AuditFailed(ApportionError):
    """An audit found rows that must not exist, so nothing of its transaction was kept.

    Attributes:
        step: the step whose window was being filled.
        audit: the truth that did not hold.
        rows: the first rows that break it.
    """

    def __init__(self, step: str, audit: str, rows: Sequence[object]) -> None:
        self.step, self.audit, self.rows = step, audit, tuple(rows)
        shown = "; ".join(str(row) for row in self.rows[:5])
        super().__init__(
            f"audit {audit} of {step} refused to commit: {shown}. "
            "Nothing was changed; please report this with the ledger's `apportion status --json`."
        )
