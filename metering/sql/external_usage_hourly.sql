-- step:   metering.external_usage_hourly
-- grain:  charge_period_start, provider, model_no, caller_no, tier, token_kind, cause
-- reads:  raw.usage_event, metering.series_place, metering.observed_event, book.model, book.price, book.price_tier, book.fx
-- params: period_start, period_end
-- why:    which price a request has depends on its model, its tier, when it was and how long its prompt: settled once for each
--         stretch of time and prompt length, so that the pass over the events only adds tokens; money is rounded once a line
WITH place AS (
    SELECT DISTINCT place_no, provider, model_no, caller_no, tier FROM metering.series_place WHERE provider <> 'self'
),
offer AS (
    SELECT
        named.provider, named.model_no, named.tier, COALESCE(known.tier, lower(named.tier)) AS price_tier,
        ROW_NUMBER() OVER (ORDER BY named.provider, named.model_no, named.tier)::INTEGER AS offer_no
    FROM (SELECT DISTINCT provider, model_no, tier FROM place) AS named
    LEFT JOIN book.price_tier AS known ON known.said = lower(named.tier)  -- NULL: a tier of the provider's own
),
listed AS (  -- every row that speaks of an offer's model, the first that fits counts; of the tier or not
    SELECT
        offer.offer_no, price.*, price.tier = '*' OR price.tier = offer.price_tier AS of_tier,
        ROW_NUMBER() OVER (
            PARTITION BY offer.offer_no
            ORDER BY rank, price.tier = '*', above_input_tokens DESC, daily_from_us = 0 AND daily_to_us = 86400000000, price_no
        ) AS precedence
    FROM offer
    JOIN book.model AS model USING (model_no)
    JOIN book.price AS price
        ON offer.provider LIKE price.provider_pattern ESCAPE '\' AND model.model_id LIKE price.model_pattern ESCAPE '\'
        AND price.effective_from < $period_end::TIMESTAMP AND price.effective_to > $period_start::TIMESTAMP
),
charge_day AS (
    SELECT unnest(range(date_trunc('day', $period_start::TIMESTAMP), $period_end::TIMESTAMP, INTERVAL 1 DAY)) AS day_start
),
edge AS (  -- where the hours of an offer begin, and where another price or rate may come into force within them
    SELECT offer_no, unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS edge_at FROM offer
    UNION
    SELECT offer_no, edge_at
    FROM (
        SELECT offer_no, unnest([effective_from, effective_to]) AS edge_at FROM listed
        UNION ALL
        SELECT offer_no, day_start + to_microseconds(unnest([daily_from_us, daily_to_us])) FROM listed CROSS JOIN charge_day
        UNION ALL
        SELECT listed.offer_no, unnest([fx.effective_from, fx.effective_to])
        FROM listed
        JOIN book.fx AS fx ON fx.currency = listed.currency
    )
    WHERE edge_at >= $period_start::TIMESTAMP AND edge_at < $period_end::TIMESTAMP
),
slot AS (
    SELECT
        offer_no, edge_at AS slot_start, date_trunc('hour', edge_at) AS charge_period_start,
        LEAD(edge_at, 1, $period_end::TIMESTAMP) OVER (PARTITION BY offer_no ORDER BY edge_at) AS slot_end,
        epoch_us(edge_at) - epoch_us(date_trunc('day', edge_at)) AS day_us
    FROM edge
),
band AS (  -- prompts of more than `above` tokens, up to and with `until`
    SELECT offer_no, above, LEAD(above, 1, 9223372036854775807) OVER (PARTITION BY offer_no ORDER BY above) AS until
    FROM (
        SELECT offer_no, -1 AS above FROM offer
        UNION
        SELECT offer_no, above_input_tokens FROM listed WHERE above_input_tokens > 0
    )
),
in_force AS (
    SELECT
        slot.* EXCLUDE (day_us), listed.price_no, listed.of_tier, listed.precedence, listed.above_input_tokens,
        CASE WHEN listed.daily_from_us < listed.daily_to_us
            THEN slot.day_us >= listed.daily_from_us AND slot.day_us < listed.daily_to_us
            ELSE slot.day_us >= listed.daily_from_us OR slot.day_us < listed.daily_to_us END AS of_part_of_day
    FROM slot
    LEFT JOIN listed  -- NULL: nothing speaks of the model
        ON listed.offer_no = slot.offer_no
        AND listed.effective_from <= slot.slot_start AND listed.effective_to > slot.slot_start
),
chosen AS (
    SELECT
        listed.offer_no, listed.charge_period_start, listed.slot_start, listed.slot_end, band.above, band.until,
        arg_min(listed.price_no, listed.precedence) FILTER (
            listed.of_tier AND listed.of_part_of_day AND listed.above_input_tokens <= GREATEST(band.above, 0)) AS price_no,
        CASE WHEN BOOL_OR(listed.of_tier) THEN 'no_condition' WHEN COUNT(listed.price_no) > 0 THEN 'no_tier' ELSE 'no_price' END AS reason
    FROM in_force AS listed
    JOIN band USING (offer_no)
    GROUP BY listed.offer_no, listed.charge_period_start, listed.slot_start, listed.slot_end, band.above, band.until
),
term AS (  -- numbered by what they come to, so that the events are grouped by small numbers
    SELECT
        chosen.*, COALESCE(price.currency, '') AS currency,
        CASE WHEN price.currency = '' THEN 1000000000 ELSE fx.fx_nano END AS fx_nano,
        DENSE_RANK() OVER (ORDER BY chosen.offer_no, chosen.price_no, chosen.reason, fx.fx_nano)::INTEGER AS term_no
    FROM chosen
    LEFT JOIN book.price AS price USING (price_no)
    LEFT JOIN book.fx AS fx  -- NULL: needed by nobody, or missing
        ON fx.currency = price.currency AND fx.effective_from <= chosen.slot_start AND fx.effective_to > chosen.slot_start
),
seat AS (
    SELECT series.series_no, series.effective_from, series.effective_to, series.place_no, offer.offer_no
    FROM metering.series_place AS series
    JOIN offer ON offer.provider = series.provider AND offer.model_no = series.model_no AND offer.tier = series.tier
),
request AS MATERIALIZED (  -- few of the events, and found by their series alone before anything else is asked of them
    SELECT
        seat.place_no, seat.offer_no, date_trunc('hour', event.occurred_at) AS charge_period_start, event.occurred_at,
        event.uncached_input_tokens + event.cache_read_tokens + event.cache_write_tokens AS prompt_tokens,
        event.uncached_input_tokens, event.cache_read_tokens, event.cache_write_tokens, event.output_tokens, event.reasoning_tokens
    FROM raw.usage_event AS event
    JOIN seat
        ON seat.series_no = event.series_no
        AND event.occurred_at >= seat.effective_from AND event.occurred_at < seat.effective_to
    ANTI JOIN metering.observed_event AS observed ON observed.event_row = event.rowid
    WHERE event.occurred_at >= $period_start::TIMESTAMP AND event.occurred_at < $period_end::TIMESTAMP
),
usage AS (
    SELECT
        request.charge_period_start, request.place_no, term.term_no,
        SUM(request.uncached_input_tokens) AS uncached_input_tokens, SUM(request.cache_read_tokens) AS cache_read_tokens,
        SUM(request.cache_write_tokens) AS cache_write_tokens, SUM(request.output_tokens) AS output_tokens,
        SUM(request.reasoning_tokens) AS reasoning_tokens
    FROM request
    JOIN term
        ON term.offer_no = request.offer_no AND term.charge_period_start = request.charge_period_start
        AND request.occurred_at >= term.slot_start AND request.occurred_at < term.slot_end
        AND request.prompt_tokens > term.above AND request.prompt_tokens <= term.until
    GROUP BY request.charge_period_start, request.place_no, term.term_no
),
witness AS (  -- few for one offer, however many sources all prices come from
    SELECT offer_no, evidence, 1::HUGEINT << (ROW_NUMBER() OVER (PARTITION BY offer_no ORDER BY evidence) - 1)::INTEGER AS bit
    FROM (SELECT DISTINCT offer_no, rtrim(source || ' ' || source_version) AS evidence FROM listed)
),
tariff AS (  -- what a token of each kind costs by each of the terms
    SELECT
        term_no, offer_no, currency, fx_nano, bit, price.confidence, CASE WHEN price_no IS NULL THEN reason ELSE '' END AS unlisted,
        unnest(['uncached_input', 'cache_read', 'cache_write', 'output', 'reasoning']::metering.token_kind[])    AS token_kind,
        unnest([uncached_input_pico, cache_read_pico, cache_write_pico, output_pico, reasoning_pico])::HUGEINT  AS pico
    FROM (SELECT DISTINCT term_no, offer_no, price_no, reason, currency, fx_nano FROM term)
    LEFT JOIN (SELECT * EXCLUDE (currency), rtrim(source || ' ' || source_version) AS evidence FROM book.price) AS price
        USING (price_no)  -- NULL: no price
    LEFT JOIN witness USING (offer_no, evidence)
),
part AS (
    SELECT
        usage.charge_period_start, usage.place_no, tariff.*,
        CASE tariff.token_kind WHEN 'uncached_input' THEN uncached_input_tokens WHEN 'cache_read' THEN cache_read_tokens
            WHEN 'cache_write' THEN cache_write_tokens WHEN 'output' THEN output_tokens ELSE reasoning_tokens END AS tokens,
        CASE WHEN unlisted <> '' THEN unlisted WHEN pico IS NULL THEN 'no_kind' WHEN fx_nano IS NULL THEN 'no_fx' ELSE '' END AS cause
    FROM usage
    JOIN tariff USING (term_no)
),
line AS (
    SELECT
        charge_period_start, place_no, token_kind, cause, ANY_VALUE(offer_no) AS offer_no,  -- a place has one
        SUM(tokens)::BIGINT                          AS consumed_tokens,
        SUM(tokens * pico * fx_nano)::HUGEINT        AS zepto,
        SUM(tokens * pico)::HUGEINT                  AS pico_in_currency,
        CASE WHEN MIN(currency) = MAX(currency) THEN MIN(currency) ELSE '' END AS currency,
        bit_or(bit)                                  AS bits,
        MAX(confidence)                              AS confidence  -- modelled comes after measured: the weakest tells
    FROM part
    WHERE tokens > 0
    GROUP BY charge_period_start, place_no, token_kind, cause
),
testimony AS (
    SELECT offer_no, bits, string_agg(evidence, ', ' ORDER BY evidence) AS price_evidence
    FROM (SELECT DISTINCT offer_no, bits FROM line)
    JOIN witness USING (offer_no)
    WHERE bits & bit <> 0
    GROUP BY offer_no, bits
)
SELECT
    line.charge_period_start, place.provider, place.model_no, place.caller_no, place.tier, line.token_kind, line.cause,
    line.consumed_tokens,
    CASE WHEN cause = '' THEN zepto END AS effective_cost_zepto,
    CASE WHEN cause = '' THEN (zepto // 1000000000000 + CASE
        WHEN zepto % 1000000000000 > 500000000000 THEN 1
        WHEN zepto % 1000000000000 = 500000000000 THEN zepto // 1000000000000 % 2 ELSE 0 END)::BIGINT END AS effective_cost_nano,
    CASE WHEN cause = '' THEN currency ELSE '' END AS currency,
    CASE WHEN cause = '' AND currency <> '' THEN (pico_in_currency // 1000 + CASE
        WHEN pico_in_currency % 1000 > 500 THEN 1
        WHEN pico_in_currency % 1000 = 500 THEN pico_in_currency // 1000 % 2 ELSE 0 END)::BIGINT END AS cost_in_currency_nano,
    CASE WHEN cause = '' THEN price_evidence ELSE '' END AS price_evidence,
    CASE WHEN cause = '' THEN line.confidence ELSE '' END::metering.confidence AS confidence
FROM line
JOIN place USING (place_no)
LEFT JOIN testimony USING (offer_no, bits)  -- NULL: no price
