-- What calls to external providers cost: dated price rows, where price lists disagree, and the priced usage of each hour.
CREATE SEQUENCE book.price_no;

CREATE TABLE book.price (
    price_no             INTEGER NOT NULL,
    provider_pattern     VARCHAR NOT NULL,
    model_pattern        VARCHAR NOT NULL,
    tier                 VARCHAR NOT NULL,
    above_input_tokens   BIGINT NOT NULL,
    daily_from_us        BIGINT NOT NULL,
    daily_to_us          BIGINT NOT NULL,
    uncached_input_pico  BIGINT,
    cache_read_pico      BIGINT,
    cache_write_pico     BIGINT,
    output_pico          BIGINT,
    reasoning_pico       BIGINT,
    derivation           VARCHAR NOT NULL,
    currency             VARCHAR NOT NULL,
    source               VARCHAR NOT NULL,
    source_version       VARCHAR NOT NULL,
    confidence           metering.confidence NOT NULL,
    rank                 INTEGER NOT NULL,
    effective_from       TIMESTAMP NOT NULL,
    effective_to         TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.price IS 'token prices of external providers; of the rows that speak of a request the first counts: lowest rank, its tier by name, the highest threshold, a part of the day';
COMMENT ON COLUMN book.price.price_no IS 'never reused; a row whose content stays keeps its number';
COMMENT ON COLUMN book.price.model_pattern IS 'LIKE pattern with ESCAPE ''\'' of the model''s name after aliases, as provider_pattern is of the provider''s';
COMMENT ON COLUMN book.price.tier IS 'as book.price_tier names it: empty is the standard tier, * is any';
COMMENT ON COLUMN book.price.above_input_tokens IS 'the row prices whole requests whose prompt (uncached, read and written) has more tokens; 0 prices any';
COMMENT ON COLUMN book.price.daily_from_us IS 'microseconds into the UTC day, [from, to); from >= to goes over midnight; 0 and 86400000000 are all day';
COMMENT ON COLUMN book.price.output_pico IS '1e-12 of the currency per token, as in every kind; NULL: this row has no price for the kind, and none is made up';
COMMENT ON COLUMN book.price.derivation IS 'kinds whose price the list takes from another kind, as `reasoning=output`';
COMMENT ON COLUMN book.price.currency IS 'empty for the billing currency';
COMMENT ON COLUMN book.price.source IS 'override | the name of a price file | genai-prices';
COMMENT ON COLUMN book.price.source_version IS 'of the catalog; empty for our own';

CREATE TABLE book.price_tier (said VARCHAR PRIMARY KEY, tier VARCHAR NOT NULL);
COMMENT ON TABLE book.price_tier IS 'dictionary: tiers as providers report them, in lower case -> as price rows name them; any other tier is its own name';
INSERT INTO book.price_tier VALUES
    ('', ''), ('default', ''), ('standard', ''), ('on_demand', ''), ('on-demand', ''), ('ondemand', ''),
    ('batches', 'batch'), ('on_demand_flex', 'flex'), ('on_demand_priority', 'priority');

CREATE TABLE book.price_doubt (
    provider        VARCHAR NOT NULL,
    model_id        VARCHAR NOT NULL,
    tier            VARCHAR NOT NULL,
    above_input_tokens  BIGINT NOT NULL,
    token_kind      VARCHAR NOT NULL,
    source          VARCHAR NOT NULL,
    source_version  VARCHAR NOT NULL,
    price_pico      BIGINT NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    other_source    VARCHAR NOT NULL,
    other_version   VARCHAR NOT NULL,
    other_pico      BIGINT NOT NULL,
    other_date      DATE NOT NULL
);
COMMENT ON TABLE book.price_doubt IS 'where two catalogs disagree about a price now in force; metering goes by the first';
COMMENT ON COLUMN book.price_doubt.effective_from IS 'since when the first has had that price; 1970 is always';
COMMENT ON COLUMN book.price_doubt.other_date IS 'of the other''s file, which does not date its prices';

CREATE VIEW book.external_model AS
WITH said AS (
    SELECT DISTINCT series.provider, model.model_id
    FROM raw.series AS series JOIN book.model AS model USING (model_no)
    WHERE series.provider <> 'self'
)
SELECT provider, model_id FROM said
UNION
SELECT said.provider, model.model_id
FROM said JOIN book.model_alias AS alias ON alias.alias = said.model_id JOIN book.model AS model ON model.model_no = alias.model_no;
COMMENT ON VIEW book.external_model IS 'every model that events say an external provider served, and what its aliases stand for';

CREATE TABLE metering.external_usage_hourly (
    charge_period_start    TIMESTAMP NOT NULL,
    provider               VARCHAR NOT NULL,
    model_no               INTEGER NOT NULL,
    caller_no              INTEGER NOT NULL,
    tier                   VARCHAR NOT NULL,
    token_kind             metering.token_kind NOT NULL,
    cause                  VARCHAR NOT NULL,
    consumed_tokens        BIGINT NOT NULL,
    effective_cost_zepto   HUGEINT,
    effective_cost_nano    BIGINT,
    currency               VARCHAR NOT NULL,
    cost_in_currency_nano  BIGINT,
    price_evidence         VARCHAR NOT NULL,
    confidence             metering.confidence NOT NULL
);
COMMENT ON TABLE metering.external_usage_hourly IS 'grain: charge_period_start, provider, model_no, caller_no, tier, token_kind, cause; only usage of external providers';
COMMENT ON COLUMN metering.external_usage_hourly.cause IS 'why there is no price: no_price | no_tier | no_kind | no_fx; empty where there is one';
COMMENT ON COLUMN metering.external_usage_hourly.effective_cost_zepto IS '1e-21 of the billing currency: the exact sum, which effective_cost_nano rounds once, half to even';
COMMENT ON COLUMN metering.external_usage_hourly.currency IS 'of all its prices, if that is one other than the billing currency; else empty, and cost_in_currency_nano NULL';
COMMENT ON COLUMN metering.external_usage_hourly.price_evidence IS 'sources of its prices and their versions';

INSERT INTO book.dirty_hour  -- hours whose external lines this schema has to know
SELECT DISTINCT usage.charge_period_start, hour.metered_at
FROM metering.placed_usage_hourly AS usage
JOIN metering.metered_hour AS hour USING (charge_period_start)
WHERE usage.provider <> 'self'
ON CONFLICT DO NOTHING;

CREATE VIEW export.prices AS
SELECT
    seen.provider, seen.model_id, price.tier, price.above_input_tokens, price.daily_from_us, price.daily_to_us,
    price.uncached_input_pico, price.cache_read_pico, price.cache_write_pico, price.output_pico, price.reasoning_pico,
    price.derivation, price.currency, price.source, price.source_version, price.confidence, price.rank, price.effective_from,
    price.effective_to
FROM book.external_model AS seen
LEFT JOIN book.price AS price  -- NULL: nobody has a price
    ON seen.provider LIKE price.provider_pattern ESCAPE '\' AND seen.model_id LIKE price.model_pattern ESCAPE '\';
COMMENT ON VIEW export.prices IS 'price rows of every external model the ledger has seen; without source where there is none';

CREATE VIEW export.price_doubts AS SELECT * FROM book.price_doubt;
COMMENT ON VIEW export.price_doubts IS 'where two catalogs disagree about a price now in force';
