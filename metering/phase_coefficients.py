"""Bring the rooflines in `metering.phase_coefficient` in line with the book: each model on the GPUs of each of its deployments.

Rows of other methods stay. What GPUs can do comes from the packaged hardware catalog, so a new version of the program may change
rows, and says so as a change of the book does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from apportion.catalog import hardware
from apportion.domain.architecture import restored
from apportion.domain.period import Period
from apportion.ledger import book_hours
from apportion.ledger.book_tables import RANGE, BookTable, ordered, rows_as_objects, text
from apportion.ledger.connection import Row, Session
from metering.efficiency.coefficients import ROOFLINE, Coefficients, Serving, roofline

TENSOR_PARALLEL_MAX: Final = 8
"""A deployment of more GPUs than a node has, that says nothing else, is taken for replicas of a node each."""
MODELLED: Final = "modelled"
TOKEN_PS_MAX: Final = 10**16
"""Hours of a GPU for one token: times 10^14 tokens of a deployment-hour it stays below 2^102, which a cost can still be divided by."""
CONTEXT_AS_MAX: Final = 3 * 10**13
"""Likewise for one token of context, in contexts of 2^31; an old GPU with the widest cache there was takes half of it."""

_CONTENT: Final = {
    "deployment_no": "INTEGER", "model_no": "INTEGER", "method": "VARCHAR", "uncached_input_ps": "BIGINT",
    "cache_read_ps": "BIGINT", "cache_write_ps": "BIGINT", "output_ps": "BIGINT", "reasoning_ps": "BIGINT",
    "context_as": "BIGINT", "confidence": "VARCHAR", "failure": "VARCHAR",
}  # fmt: skip
_TABLE: Final = BookTable(
    name="metering.phase_coefficient",
    columns={**_CONTENT, "inputs": "VARCHAR", **RANGE},
    metered=tuple(_CONTENT),
)
_OURS: Final = f"method = '{ROOFLINE}'"

_SERVED: Final = """
SELECT
    deployment.deployment_no, built.model_no, pool.gpu,
    built.architecture, built.weights, built.kv, built.batch, built.mean_context,
    coalesce(built.tensor_parallel, LEAST(deployment.gpus, $tensor_parallel_max::INTEGER)) AS tensor_parallel,
    GREATEST(deployment.effective_from, pool.effective_from, built.effective_from) AS effective_from,
    LEAST(deployment.effective_to, pool.effective_to, built.effective_to) AS effective_to
FROM book.deployment AS deployment
JOIN book.deployment_model AS served ON served.deployment_no = deployment.deployment_no
    AND served.effective_from = deployment.effective_from AND served.effective_to = deployment.effective_to
JOIN book.model_architecture AS built ON built.model_no = served.model_no
    AND built.effective_from < deployment.effective_to AND built.effective_to > deployment.effective_from
JOIN book.pool AS pool ON pool.pool_no = deployment.pool_no
    AND pool.effective_from < deployment.effective_to AND pool.effective_to > deployment.effective_from
WHERE GREATEST(pool.effective_from, built.effective_from) < LEAST(pool.effective_to, built.effective_to)
"""


def sync(session: Session, now: datetime) -> list[Period]:
    """Compute the roofline of every model that a deployment serves and the book describes, inside the caller's transaction.

    Metered hours that a change reaches are marked dirty.

    Returns: the periods in which a coefficient differs from before; none where nothing does.
    Invariant: a second run changes nothing.
    """
    after = ordered(list(_rooflines(session)))
    before = ordered(session.rows(f"SELECT {', '.join(_TABLE.columns)} FROM {_TABLE.name} WHERE {_OURS}"))
    if before == after:
        return []
    _replace(session, after)
    changed = book_hours.reached(_TABLE, before, after)
    book_hours.mark(session, changed, now)
    return changed


def _rooflines(session: Session) -> Iterator[Row]:
    for row in session.rows(_SERVED, {"tensor_parallel_max": TENSOR_PARALLEL_MAX}):
        deployment, model, gpu, architecture, weights, kv, batch, mean_context, tensor_parallel, start, end = row
        serving = Serving(
            weights=weights, kv=kv, batch=batch, mean_context=mean_context, tensor_parallel=tensor_parallel
        )
        yield _row(deployment, model, _computed(architecture, gpu, serving), Period(start, end))


@lru_cache(maxsize=256)
def _computed(architecture: str, gpu: str, serving: Serving) -> Coefficients | str:
    """The roofline, or why there is none, as a part of a sentence."""
    found = hardware.find(gpu)
    if found is None:
        likely = hardware.nearest(gpu)
        return f"the hardware catalog has no GPU {gpu}" + (f"; it has {', '.join(likely)}" if likely else "")
    try:
        made = roofline(restored(json.loads(architecture)), found, serving)
    except ValueError as error:
        return str(error)
    slowest = max(made.uncached_input_ps, made.cache_read_ps, made.cache_write_ps, made.output_ps, made.reasoning_ps)
    if slowest > TOKEN_PS_MAX or made.context_as > CONTEXT_AS_MAX:
        return "by its config a token takes hours of a GPU, which no model does; correct the file or mean_context"
    return made


def _row(deployment_no: int, model_no: int, computed: Coefficients | str, effective: Period) -> Row:
    if isinstance(computed, str):
        return (deployment_no, model_no, ROOFLINE, 0, 0, 0, 0, 0, 0, "", computed, "{}", effective.start, effective.end)
    return (
        deployment_no, model_no, ROOFLINE, computed.uncached_input_ps, computed.cache_read_ps, computed.cache_write_ps,
        computed.output_ps, computed.reasoning_ps, computed.context_as, MODELLED, "", text(computed.inputs),
        effective.start, effective.end,
    )  # fmt: skip


def _replace(session: Session, rows: Sequence[Row]) -> None:
    shape = json.dumps([dict(_TABLE.columns)])
    session.do(f"DELETE FROM {_TABLE.name} WHERE {_OURS}")
    session.do(
        f"INSERT INTO {_TABLE.name} BY NAME SELECT {', '.join(f'item.{column}' for column in _TABLE.columns)} "
        f"FROM (SELECT unnest(from_json($rows::JSON, '{shape}')) AS item) AS given",
        {"rows": text(rows_as_objects(_TABLE, rows))},
    )
