-- audit:  external_cost_is_its_price
-- reads:  metering.external_usage_hourly, metering.charge_hourly
-- params: period_start, period_end
-- why:    what external providers cost by their prices is on the hour's lines, and rounding moved no line by more than half a nano
WITH priced AS (
    SELECT
        charge_period_start, COUNT(effective_cost_zepto) AS priced_lines, SUM(consumed_tokens) AS priced_tokens,
        SUM(effective_cost_zepto) AS priced_zepto
    FROM metering.external_usage_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    GROUP BY charge_period_start
),
charged AS (
    SELECT
        charge_period_start, COUNT(effective_cost_nano) AS charged_lines, SUM(consumed_tokens) AS charged_tokens,
        SUM(effective_cost_nano::HUGEINT * 1000000000000) AS charged_zepto
    FROM metering.charge_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP AND cost_kind = 'external'
    GROUP BY charge_period_start
)
SELECT
    charge_period_start, priced_lines, charged_lines, priced_tokens, charged_tokens,
    COALESCE(priced_zepto, 0) AS priced_zepto, COALESCE(charged_zepto, 0) AS charged_zepto
FROM priced
FULL JOIN charged USING (charge_period_start)  -- NULL: nothing on that side
WHERE priced_lines IS DISTINCT FROM charged_lines OR priced_tokens IS DISTINCT FROM charged_tokens
    OR abs(COALESCE(priced_zepto, 0) - COALESCE(charged_zepto, 0)) > priced_lines * 500000000000::HUGEINT
