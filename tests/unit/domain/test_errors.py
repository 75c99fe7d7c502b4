"""Errors say what was wrong and how the process ends."""

from __future__ import annotations

import pytest

from apportion.domain.errors import ApportionError, AuditFailed, ConfigError, InputError, LedgerError, UsageError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError(["a"]), 2),
        (UsageError("x"), 2),
        (LedgerError("x"), 1),
        (InputError("x"), 1),
        (AuditFailed("s", "a", []), 1),
    ],
)
def test_exit_codes_tell_refused_from_misused(error: ApportionError, code: int) -> None:
    """What the user wrote wrongly ends with 2, what the program refused with 1."""
    assert error.exit_code == code


def test_config_errors_carry_every_problem() -> None:
    """All problems are shown at once, one per line."""
    error = ConfigError(["a.toml:pools: first", "a.toml:rates: second"])

    assert error.problems == ("a.toml:pools: first", "a.toml:rates: second")
    assert str(error) == "a.toml:pools: first\na.toml:rates: second"


def test_a_failed_audit_names_step_truth_and_the_first_rows() -> None:
    """The message shows at most five of the rows, and the error keeps them all."""
    error = AuditFailed("metering.charge_hourly", "charges_equal_origin", [(n, "row") for n in range(7)])

    assert len(error.rows) == 7
    assert "audit charges_equal_origin of metering.charge_hourly refused to commit: (0, 'row'); (1, 'row')" in str(
        error
    )
    assert "(5, 'row')" not in str(error)
    assert "Nothing was changed" in str(error)
