"""The only way to SciPy: non-negative least squares of a few columns, and how well they can be told apart.

Times of tokens are estimates and never money: what is charged is split by their integers, which are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, inf, sqrt

from apportion.domain.errors import ApportionError


class CalibrationError(ApportionError):
    """What a fit needs is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The non-negative coefficients that miss the target least, in the sum of squares.

    Attributes:
        coefficients: one per column, in units of the target per unit of the column.
        r2: part of the target's variance around its mean that they explain; below 0 where the mean alone explains more.
        condition: condition number of the columns, each scaled to length 1; infinite where one is a mixture of others.
        residual_rms: root of the mean square of what they miss, in units of the target.
    """

    coefficients: tuple[float, ...]
    r2: float
    condition: float
    residual_rms: float


def solve(columns: Sequence[Sequence[int]], target: Sequence[int]) -> Solution:
    """Fit the target by the columns, through the origin: no tokens take no time.

    Columns are not all zero, and as long as the target. Each is scaled to length 1 first, so that units change nothing.
    Raises: CalibrationError where SciPy is not installed.
    Source: Lawson and Hanson, Solving Least Squares Problems (1974); scaled condition numbers by Belsley, Kuh and Welsch (1980).
    """
    try:
        from scipy.linalg import svdvals  # noqa: PLC0415 - an extra, which only calibration needs
        from scipy.optimize import nnls  # noqa: PLC0415
    except ImportError as error:
        msg = "a fit needs SciPy, which is not installed; run pip install 'apportion[calibration]'"
        raise CalibrationError(msg) from error
    lengths = [hypot(*column) for column in columns]
    height = hypot(*target) or 1.0
    rows = [[part / length for part, length in zip(row, lengths, strict=True)] for row in zip(*columns, strict=True)]
    singular = [float(value) for value in svdvals(rows)]
    found, missed = nnls(rows, [value / height for value in target])
    scaled = [float(part) for part in found]
    miss = float(missed) * height
    mean = sum(target) / len(target)
    spread = sum((value - mean) ** 2 for value in target)
    return Solution(
        coefficients=tuple(part * height / length for part, length in zip(scaled, lengths, strict=True)),
        r2=1 - miss**2 / spread if spread else -inf,
        condition=singular[0] / singular[-1] if singular[-1] else inf,
        residual_rms=miss / sqrt(len(target)),
    )
