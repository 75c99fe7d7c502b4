-- step:   attribution.unit_cost_monthly
-- grain:  billing_period, team, model_no, token_kind, basis
-- reads:  attribution.charge_monthly, book.model
-- params: period_start
-- why:    a price per token needs both its parts; what a team bears beside its tokens follows what these cost
--         on its own GPUs, to the nano
WITH used AS (  -- tokens without a price have no cost to be divided by
    SELECT
        team, model_no, token_kind, SUM(effective_cost_nano)::HUGEINT AS cost_nano,
        COALESCE(SUM(effective_cost_nano) FILTER (cost_kind = 'workload'), 0)::HUGEINT AS workload_nano,
        SUM(consumed_tokens)::HUGEINT AS consumed_tokens
    FROM attribution.charge_monthly
    WHERE billing_period = $period_start::TIMESTAMP AND token_kind <> '' AND effective_cost_nano IS NOT NULL
    GROUP BY team, model_no, token_kind
    HAVING SUM(consumed_tokens) > 0
),
beside AS (
    SELECT team, SUM(effective_cost_nano)::HUGEINT AS beside_nano
    FROM attribution.charge_monthly
    WHERE billing_period = $period_start::TIMESTAMP AND token_kind = '' AND cost_kind IN ('idle', 'overhead')
    GROUP BY team
),
claim AS (
    SELECT
        used.*, model.model_id, COALESCE(beside_nano, 0) AS beside_nano,
        GREATEST(SUM(workload_nano) OVER (PARTITION BY team), 1) AS whole
    FROM used
    JOIN book.model AS model USING (model_no)
    LEFT JOIN beside USING (team)  -- NULL: nothing beside its tokens
),
ranked AS (
    SELECT
        team, model_no, token_kind, cost_nano, consumed_tokens, beside_nano * workload_nano // whole AS floor_nano,
        beside_nano - SUM(beside_nano * workload_nano // whole) OVER (PARTITION BY team) AS left_nano,
        ROW_NUMBER() OVER (
            PARTITION BY team ORDER BY beside_nano * workload_nano % whole DESC, model_id, token_kind) AS place,
        SUM(workload_nano) OVER (PARTITION BY team) AS team_nano
    FROM claim
),
loaded AS (
    SELECT
        team, model_no, token_kind, cost_nano, consumed_tokens,
        cost_nano + CASE WHEN team_nano = 0 THEN 0
            ELSE floor_nano + CASE WHEN place <= left_nano THEN 1 ELSE 0 END END AS loaded_nano
    FROM ranked
),
priced AS (
    SELECT team, model_no, token_kind, 'usage' AS basis, cost_nano, consumed_tokens FROM loaded
    UNION ALL
    SELECT team, model_no, token_kind, 'allocation', loaded_nano, consumed_tokens FROM loaded
    UNION ALL
    SELECT
        team, model_no, 'output', 'fully_loaded_output', SUM(loaded_nano),
        SUM(consumed_tokens) FILTER (token_kind IN ('output', 'reasoning'))
    FROM loaded
    GROUP BY team, model_no
    HAVING SUM(consumed_tokens) FILTER (token_kind IN ('output', 'reasoning')) > 0
)
SELECT
    $period_start::TIMESTAMP AS billing_period, team, model_no, token_kind, basis,
    cost_nano::HUGEINT AS effective_cost_nano, consumed_tokens::HUGEINT AS consumed_tokens
FROM priced
