-- step:   metering.token_factor
-- grain:  model_no, tier
-- reads:  raw.series, book.model, book.model_adapter, book.model_weight, book.policy
-- params: policy_version
-- why:    every kind of a model's and a tier's tokens weighs alike more or less, so it is one factor; an adapter weighs what its model
--         does unless it has a weight of its own, and nothing is joined where nothing weighs differently
WITH said AS (
    SELECT unnest(from_json(tiers, '[{"tier":"VARCHAR","weight":"BIGINT"}]'), recursive := TRUE)
    FROM book.policy
    WHERE policy_version = $policy_version::INTEGER
),
weighed AS (
    SELECT 1 AS one
    WHERE EXISTS (SELECT 1 FROM said) OR EXISTS (SELECT 1 FROM book.model_weight)
),
adapted AS (  -- patterns of two models never share a name; of two of one model either says the same
    SELECT model.model_no, MIN(base.weight) AS weight
    FROM book.model AS model
    JOIN book.model_adapter AS adapter ON model.model_id LIKE adapter.pattern ESCAPE '\'
    JOIN book.model_weight AS base ON base.model_no = adapter.model_no
    WHERE model.model_no > 0
    GROUP BY model.model_no
),
tier AS (
    SELECT used.tier, COALESCE(named.weight, others.weight, 1) AS weight
    FROM (SELECT tier FROM raw.series UNION SELECT '') AS used
    LEFT JOIN said AS named ON named.tier = used.tier   -- NULL: not named
    LEFT JOIN said AS others ON others.tier = ''        -- NULL: no tier weighs differently
)
SELECT
    model.model_no, tier.tier, COALESCE(own.weight, adapted.weight, others.weight, 1) * tier.weight AS factor
FROM weighed
CROSS JOIN book.model AS model
CROSS JOIN tier
LEFT JOIN book.model_weight AS own ON own.model_no = model.model_no     -- NULL: has no weight of its own
LEFT JOIN adapted ON adapted.model_no = model.model_no                  -- NULL: no adapter of a model that has one
LEFT JOIN book.model_weight AS others ON others.model_no = 0            -- NULL: no model weighs differently
