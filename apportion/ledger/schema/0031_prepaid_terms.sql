-- In a migration of its own: DuckDB alters no column in the transaction that filled it.
ALTER TABLE book.commitment ALTER COLUMN recurring_per_hour_nano SET NOT NULL;
COMMENT ON COLUMN book.commitment.per_hour_nano IS 'committed spend, whenever it is paid, 1e-9 of currency; savings plans only';
COMMENT ON COLUMN book.commitment.recurring_per_hour_nano IS 'what of the committed spend is paid by the hour, 1e-9 of currency; savings plans only';

-- What a figure needs to be worked out by hand, too: the prices in force.
CREATE VIEW export.price_terms AS
WITH term AS (
    SELECT
        pool_no, component, '' AS evidence, 'price' AS term, unit, price_nano AS value_nano, list_nano, NULL::INTEGER AS gpus, currency,
        purchase, source, effective_from, effective_to
    FROM book.rate
    UNION ALL
    SELECT pool_no, component, '', 'discount', '%', discount_e8 * 1000, NULL, NULL, '', '', '', effective_from, effective_to FROM book.discount
    UNION ALL
    SELECT 0, '', '', 'exchange_rate', 'unit', fx_nano, NULL, NULL, currency, '', '', effective_from, effective_to FROM book.fx
    UNION ALL
    SELECT
        pool_no, 'energy', 'energy', unnest(['price', 'pue', 'watts']), unnest(['kwh', '', 'gpu']),
        unnest([per_kwh_nano, pue_ppm::BIGINT * 1000, watts_per_gpu::BIGINT * 1000000000]), NULL, NULL, '', '', '', effective_from, effective_to
    FROM book.energy_rate
    UNION ALL
    SELECT 0, shared_cost_id, '', 'price', 'month', per_month_nano, NULL, NULL, '', '', '', effective_from, effective_to FROM book.shared_cost
    UNION ALL
    SELECT * FROM (
        SELECT
            pool_no, 'accelerator', 'commitment/' || commitment_id, unnest(['price', 'commitment', 'recurring', 'upfront', 'upfront']) AS term,
            unnest(['gpu_hour', 'hour', 'hour', 'term', 'term']) AS unit,
            unnest([
                per_gpu_hour_nano, per_hour_nano, CASE WHEN recurring_per_hour_nano <> per_hour_nano THEN recurring_per_hour_nano ELSE 0 END, upfront_in_currency_nano,
                CASE WHEN currency <> '' THEN upfront_nano ELSE 0 END]) AS value_nano,
            NULL, CASE kind WHEN 'reserved' THEN gpus END, unnest([currency, currency, currency, currency, '']), kind, '', effective_from, effective_to
        FROM book.commitment
    )
    WHERE value_nano > 0
    UNION ALL
    SELECT
        savings.pool_no, 'accelerator', 'commitment/' || commitment_id, 'price', 'gpu_hour', savings.rate_nano, NULL, NULL, commitment.currency,
        commitment.kind, '', min(savings.effective_from), max(savings.effective_to)
    FROM book.savings AS savings
    JOIN book.commitment AS commitment USING (commitment_id)
    WHERE savings.pool_no > 0
    GROUP BY savings.pool_no, commitment_id, savings.rate_nano, commitment.currency, commitment.kind
    UNION ALL
    SELECT * FROM (
        SELECT
            pool_no, unnest(['accelerator', 'accelerator', 'financing', 'financing', 'maintenance', 'colocation']) AS component,
            'asset/' || asset_id, unnest(['depreciation', 'depreciation', 'financing', 'financing', 'price', 'price']) AS term,
            unnest(['life', 'life', 'life', 'life', 'year', 'month']) AS unit,
            unnest([
                depreciation_in_currency_nano, CASE WHEN currency <> '' THEN depreciation_nano ELSE 0 END, financing_in_currency_nano,
                CASE WHEN currency <> '' THEN financing_nano ELSE 0 END, maintenance_per_year_nano, colocation_per_month_nano]) AS value_nano,
            NULL, gpus, unnest([currency, '', currency, '', currency, currency]), 'owned', '', effective_from,
            unnest([life_to, life_to, life_to, life_to, effective_to, effective_to])
        FROM book.asset
    )
    WHERE value_nano > 0
    UNION ALL
    SELECT pool_no, 'credit', 'credit/' || credit_id, 'credit', 'range', amount_nano, NULL, NULL, '', '', '', effective_from, effective_to
    FROM book.credit
)
SELECT
    pool_id, component, evidence, term, unit, value_nano::HUGEINT AS value_nano, list_nano::HUGEINT AS list_nano, gpus, currency, purchase,
    source, effective_from, effective_to
FROM term
JOIN book.pool_key USING (pool_no);
COMMENT ON VIEW export.price_terms IS 'every dated price, discount, exchange rate and contract behind origin charges; currency empty is the billing currency; value_nano of a discount is 1e-9 percent, of what has no currency 1e-9 units';
