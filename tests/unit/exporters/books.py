"""A small ledger whose figures fit on a page: one pool, two teams and an unmapped one, idle kept apart, one correction.

Rows are written straight into the tables that stages fill, so that what is shown is tested apart from how it came about.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from apportion.ledger.connection import Ledger
from tests.blank import blank

PUBLISHED_AT = datetime(2026, 10, 1, 2, 5, tzinfo=UTC)

# team, cost center, model_no, pool_no, cost kind, cause, token kind, tokens, nano
LINES = """
('search',         'CC-100', 1, 1, 'workload', '',         'uncached_input',  600000,  1000000000),
('search',         'CC-100', 1, 1, 'workload', '',         'output',          100000,  1000000001),
('ads',            'CC-200', 1, 1, 'workload', '',         'uncached_input',  300000,   500000000),
('ads',            'CC-200', 1, 1, 'workload', '',         'output',          200000,  2000000000),
('ads',            'CC-200', 2, 0, 'external', 'no_price', 'output',          700,     NULL),
('__unmapped__',   '',       1, 1, 'workload', '',         'output',          7,       3),
('__unattributed__', '',     0, 1, 'workload', 'busy_no_tokens', '',          NULL,    500000000),
('__idle__',       'CC-000', 0, 1, 'idle',     'inactive', '',                NULL,    1500000000),
('__unmeasured__', '',       0, 1, 'unmeasured', '',       '',                NULL,    250000000)
"""

SQL = f"""
INSERT INTO book.model VALUES (1, 'llama-3.1-70b'), (2, 'gpt-"x"\\y');
INSERT INTO book.pool_key VALUES (1, 'h100-prod'), (2, 'silent');
INSERT INTO book.deployment_key VALUES (1, 'llama70b'), (2, 'quiet');
INSERT INTO book.setting VALUES ('billing_currency', 'USD');

INSERT INTO attribution.charge_monthly
SELECT TIMESTAMP '2026-10-01', team, '', '', cost_center, 'self', model_no, pool_no, CASE WHEN pool_no = 1 THEN 1 ELSE 0 END,
    '', cost_kind, cause, token_kind, tokens, nano, 'active+weights@1', 'assumed', 1
FROM (VALUES {LINES}) AS line (team, cost_center, model_no, pool_no, cost_kind, cause, token_kind, tokens, nano);
INSERT INTO attribution.charge_monthly
VALUES (TIMESTAMP '2026-09-01', 'search', '', '', 'CC-100', 'self', 1, 1, 1, '', 'workload', '', 'output', 5, 40, 'm', 'assumed', 1);

INSERT INTO attribution.unit_cost_monthly
SELECT TIMESTAMP '2026-10-01', team, model_no, token_kind, basis, nano + CASE basis WHEN 'usage' THEN 0 ELSE 77 END, tokens
FROM (VALUES {LINES}) AS line (team, cost_center, model_no, pool_no, cost_kind, cause, token_kind, tokens, nano),
    (VALUES ('usage'), ('allocation')) AS basis (basis)
WHERE token_kind <> '' AND nano IS NOT NULL;
INSERT INTO attribution.unit_cost_monthly VALUES
    (TIMESTAMP '2026-10-01', 'search', 1, 'output', 'fully_loaded_output', 2000000155, 100000),
    (TIMESTAMP '2026-09-01', 'search', 1, 'output', 'usage', 40, 5);

INSERT INTO attribution.counter
SELECT 'cost', team, model_id, pool_id, cost_kind, token_kind, '', nano, 0
FROM (VALUES {LINES}) AS line (team, cost_center, model_no, pool_no, cost_kind, cause, token_kind, tokens, nano)
JOIN book.model USING (model_no) JOIN book.pool_key USING (pool_no)
WHERE nano IS NOT NULL;
INSERT INTO attribution.counter
SELECT 'tokens', team, model_id, '', '', token_kind, '', tokens, 0
FROM (VALUES {LINES}) AS line (team, cost_center, model_no, pool_no, cost_kind, cause, token_kind, tokens, nano)
JOIN book.model USING (model_no)
WHERE tokens IS NOT NULL;
UPDATE attribution.counter SET charged = charged + 40, credited = 0 WHERE metric = 'cost' AND team = 'search' AND token_kind = 'output';
UPDATE attribution.counter SET charged = charged + 9, credited = 9 WHERE metric = 'cost' AND team = 'ads' AND token_kind = 'output';
UPDATE attribution.counter SET charged = charged + 5 WHERE metric = 'tokens' AND team = 'search' AND token_kind = 'output';
INSERT INTO attribution.counter VALUES
    ('gpu_us', '', '', 'h100-prod', '', '', 'workload',   5000000001, 0),
    ('gpu_us', '', '', 'h100-prod', '', '', 'idle',       1500000000, 250000),
    ('gpu_us', '', '', 'h100-prod', '', '', 'unmeasured', 700000000, 0);

INSERT INTO metering.metered_hour VALUES
    (TIMESTAMP '2026-09-30 23:00', TIMESTAMP '2026-10-01 00:05', 1), (TIMESTAMP '2026-10-01 00:00', TIMESTAMP '2026-10-01 01:05', 1);
INSERT INTO metering.origin_charge_hourly VALUES
    (TIMESTAMP '2026-09-30 23:00', 1, 'accelerator', 7200000000, 40, '', '', '', 40, 40, 40, NULL),
    (TIMESTAMP '2026-10-01 00:00', 1, 'accelerator', 7200000000, 6750000004, '', '', '', 6750000004, 6750000004, 6750000004, NULL);
INSERT INTO metering.deployment_hourly VALUES
    (TIMESTAMP '2026-10-01 00:00', 1, 1, 7200000000, 6750000004, 'active', 0, 0, TRUE, 0, 0, 0, 0, 'inactive', 6750000004, 0, 0, 0, 'm', 'assumed', 0, 7200000000),
    (TIMESTAMP '2026-10-01 00:00', 2, 2, 0, 0, 'active', 0, 0, FALSE, 0, 0, 0, 0, 'inactive', 0, 0, 0, 0, 'm', 'assumed', 0, 0);
INSERT INTO metering.reconciliation_hourly VALUES
    (TIMESTAMP '2026-10-01 00:00', 1, 1, 1, 2, 7200000000, 900, NULL, 100, 7, NULL, 800, 5, 70, 6, 0, 0, 100, 0, 30, 'unlogged', 0, 0),
    (TIMESTAMP '2026-09-30 23:00', 1, 1, 1, 2, 7200000000, NULL, NULL, 500, 7, 1, 60, 5, 400, 6, 3, 4, 0, 0, 100, 'aborted', 0, 0),
    (TIMESTAMP '2026-09-30 00:00', 1, 1, 1, 2, 7200000000, 9000, NULL, 1, 7, 1, 9000, 5, 1, 6, 3, 0, 0, 0, 0, 'agreed', 0, 0),
    (TIMESTAMP '2026-10-01 00:00', 0, 0, 2, 1, 60, NULL, NULL, 5, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'unplaced', 0, 0);
INSERT INTO attribution.attributed_month VALUES
    (TIMESTAMP '2026-09-01', TIMESTAMP '2026-10-01 00:05', 1, ''), (TIMESTAMP '2026-10-01', TIMESTAMP '2026-10-01 01:05', 1, '');

INSERT INTO raw.batch BY NAME
SELECT batch_no, format AS kind, format, format AS stream, 0 AS position_start, 900 AS position_end,
    TIMESTAMP '2026-10-01 01:00' AS ingested_at, received, landed, duplicates, superseded, conflicts, rejected, skewed, 0 AS dropped_tags
FROM (VALUES (1, 'usage', 100, 90, 4, 1, 2, 3, 5), (2, 'gpu', 50, 50, 0, 0, 0, 0, 0))
    AS batch (batch_no, format, received, landed, duplicates, superseded, conflicts, rejected, skewed);
INSERT INTO raw.claim VALUES (1, 7);
INSERT INTO raw.rejection BY NAME
SELECT rejection_no, 1 AS batch_no, 'usage' AS kind, 'usage' AS format, 's' AS stream, '' AS source, rejection_no AS record, rejection_no AS line, reason,
    '' AS detail, '' AS digest, TIMESTAMP '2026-10-01 01:00' AS rejected_at
FROM (VALUES (1, 'conflict'), (2, 'conflict'), (3, 'negative'), (4, 'no_zone'), (5, 'no_zone')) AS rejected (rejection_no, reason);
INSERT INTO raw.source VALUES (1, 'litellm'), (2, 'otel');
INSERT INTO metering.observed_usage_hourly VALUES
    (TIMESTAMP '2026-09-30 23:00', 2, 1, 3, 30), (TIMESTAMP '2026-10-01 00:00', 2, 1, 40, 5000);
INSERT INTO ledger.step_run VALUES
    ('metering.placed_usage_hourly', TIMESTAMP '2026-10-01', TIMESTAMP '2026-10-01 01:00', 3, 999, TIMESTAMP '2026-10-01 01:04'),
    ('metering.placed_usage_hourly', TIMESTAMP '2026-10-01', TIMESTAMP '2026-10-01 01:00', 3, 1234567, TIMESTAMP '2026-10-01 01:05');
"""


def write(path: Path) -> Ledger:
    """A new ledger that holds these books."""
    ledger = Ledger(blank(path))
    with ledger.transaction() as session:
        session.do(SQL)
    return ledger
