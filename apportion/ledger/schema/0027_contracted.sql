-- What the rate card asks, after discounts, of GPUs that a commitment or an asset pays for; and prices that fit no request.
ALTER TABLE metering.card_charge_hourly ADD COLUMN contracted_cost_nano BIGINT;
ALTER TABLE metering.commitment_hourly ADD COLUMN contracted_cost_nano BIGINT;
ALTER TABLE metering.asset_hourly ADD COLUMN contracted_cost_nano BIGINT;
COMMENT ON COLUMN metering.card_charge_hourly.evidence IS 'not empty: GPU time that something else pays for, and only its list and contracted cost';
COMMENT ON COLUMN metering.commitment_hourly.contracted_cost_nano IS 'at the rate card''s price after discounts, where that prices all of it; else the effective cost. NULL: metered before this was known';
COMMENT ON COLUMN metering.asset_hourly.contracted_cost_nano IS 'as of commitment_hourly';
COMMENT ON COLUMN metering.price_segment.measure IS 'effective | list | contracted | currency';
COMMENT ON COLUMN metering.origin_charge_hourly.contracted_cost_nano IS 'at negotiated prices, before commitments and owned hardware, where they are known; else the effective cost';
COMMENT ON COLUMN metering.external_usage_hourly.cause IS 'why there is no price: no_price | no_tier | no_condition | no_kind | no_fx; empty where there is one';

CREATE OR REPLACE VIEW metering.purchase_hourly AS
SELECT
    charge_period_start, pool_no, component, evidence, currency, '' AS cause, paid_us, effective_cost_nano,
    effective_cost_nano AS billed_cost_nano, coalesce(list_cost_nano, effective_cost_nano) AS list_cost_nano,
    effective_cost_nano AS contracted_cost_nano, cost_in_currency_nano
FROM metering.card_charge_hourly
WHERE evidence = ''
UNION ALL
SELECT
    charge_period_start, pool_no, 'accelerator', 'commitment/' || commitment_id, currency, cause, paid_us, effective_cost_nano,
    billed_cost_nano, list_cost_nano, coalesce(contracted_cost_nano, effective_cost_nano), cost_in_currency_nano
FROM metering.commitment_hourly
UNION ALL
SELECT
    charge_period_start, pool_no, component, 'asset/' || asset_id, currency, cause, paid_us, effective_cost_nano,
    effective_cost_nano, list_cost_nano, coalesce(contracted_cost_nano, effective_cost_nano), cost_in_currency_nano
FROM metering.asset_hourly
UNION ALL
SELECT
    charge_period_start, pool_no, component, evidence, currency, cause, paid_us, effective_cost_nano, billed_cost_nano,
    list_cost_nano, contracted_cost_nano, cost_in_currency_nano
FROM metering.energy_charge_hourly;
COMMENT ON VIEW metering.purchase_hourly IS 'grain: charge_period_start, pool_no, component, evidence, currency, cause; all that pools owe before credits';
