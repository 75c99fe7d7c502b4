-- What a GPU-hour costs beyond a plain price: units, currencies, discounts, commitments, owned hardware, credits; and what was
-- known when.
ALTER TABLE book.rate RENAME COLUMN per_gpu_hour_nano TO price_nano;
ALTER TABLE book.rate ADD COLUMN unit VARCHAR DEFAULT 'gpu_hour';
ALTER TABLE book.rate ADD COLUMN list_nano BIGINT;
ALTER TABLE book.rate ADD COLUMN purchase VARCHAR DEFAULT 'on_demand';
ALTER TABLE book.rate ADD COLUMN currency VARCHAR DEFAULT '';
ALTER TABLE book.rate ADD COLUMN source VARCHAR DEFAULT '';
UPDATE book.rate SET list_nano = price_nano;
COMMENT ON TABLE book.rate IS 'rate card: price by component; no two rows of one pool and component overlap';
COMMENT ON COLUMN book.rate.price_nano IS '1e-9 of currency for one unit';
COMMENT ON COLUMN book.rate.list_nano IS 'public price for one unit';
COMMENT ON COLUMN book.rate.unit IS 'gpu_hour | gpu_second | month | year (the last two for the whole pool)';
COMMENT ON COLUMN book.rate.currency IS 'empty for the billing currency, as in every table of book and metering';
COMMENT ON COLUMN book.rate.purchase IS 'on_demand | spot | serverless | reserved | owned: a label';

CREATE TABLE book.fx (
    currency        VARCHAR NOT NULL,
    fx_nano         BIGINT NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.fx IS 'exchange rates; no two rows of one currency overlap, and the billing currency has none';
COMMENT ON COLUMN book.fx.fx_nano IS '1e-9 of the billing currency for one unit of currency';

CREATE TABLE book.discount (
    pool_no         INTEGER NOT NULL,
    component       VARCHAR NOT NULL,
    discount_e8     BIGINT NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.discount IS 'negotiated discounts on the rate card; no two rows of one pool and component overlap';
COMMENT ON COLUMN book.discount.discount_e8 IS '1e-8 of the price that is not paid';

CREATE TABLE book.commitment (
    commitment_id             VARCHAR NOT NULL,
    kind                      VARCHAR NOT NULL,
    pool_no                   INTEGER NOT NULL,
    gpus                      INTEGER NOT NULL,
    upfront_nano              BIGINT NOT NULL,
    upfront_in_currency_nano  BIGINT NOT NULL,
    per_gpu_hour_nano         BIGINT NOT NULL,
    per_hour_nano             BIGINT NOT NULL,
    currency                  VARCHAR NOT NULL,
    effective_from            TIMESTAMP NOT NULL,
    effective_to              TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.commitment IS 'reservations and savings plans over their terms; one row for each id';
COMMENT ON COLUMN book.commitment.kind IS 'reserved | savings';
COMMENT ON COLUMN book.commitment.pool_no IS 'the first pool named, which bears what is not used';
COMMENT ON COLUMN book.commitment.upfront_nano IS '1e-9 of the billing currency, at the exchange rate of the start of the term';
COMMENT ON COLUMN book.commitment.per_gpu_hour_nano IS 'recurring, 1e-9 of currency; reservations only';
COMMENT ON COLUMN book.commitment.per_hour_nano IS 'committed spend, 1e-9 of currency; savings plans only';

CREATE TABLE book.coverage (
    evidence        VARCHAR NOT NULL,
    pool_no         INTEGER NOT NULL,
    gpus            INTEGER NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.coverage IS 'GPUs that a reservation or an asset pays for; derived from the config, pool 0 is GPUs that it has and no pool takes';
COMMENT ON COLUMN book.coverage.evidence IS 'commitment/ID | asset/ID';

CREATE TABLE book.savings (
    commitment_id       VARCHAR NOT NULL,
    pool_no             INTEGER NOT NULL,
    gpus                INTEGER NOT NULL,
    rate_nano           BIGINT NOT NULL,
    used_per_hour_nano  BIGINT NOT NULL,
    rest_per_hour_nano  BIGINT NOT NULL,
    effective_from      TIMESTAMP NOT NULL,
    effective_to        TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.savings IS 'what pools use of a savings plan; derived from the config, pool 0 is what none uses';
COMMENT ON COLUMN book.savings.gpus IS 'GPUs of the pool that nothing else covers';
COMMENT ON COLUMN book.savings.rate_nano IS 'discounted price of a GPU-hour, 1e-9 of the plan''s currency';
COMMENT ON COLUMN book.savings.rest_per_hour_nano IS 'what these GPUs would cost at rate_nano beyond the commitment: paid by the rate card';

CREATE TABLE book.asset (
    asset_id                       VARCHAR NOT NULL,
    pool_no                        INTEGER NOT NULL,
    gpus                           INTEGER NOT NULL,
    depreciation_nano              BIGINT NOT NULL,
    depreciation_in_currency_nano  BIGINT NOT NULL,
    financing_nano                 BIGINT NOT NULL,
    financing_in_currency_nano     BIGINT NOT NULL,
    maintenance_per_year_nano      BIGINT NOT NULL,
    colocation_per_month_nano      BIGINT NOT NULL,
    currency                       VARCHAR NOT NULL,
    life_to                        TIMESTAMP NOT NULL,
    effective_from                 TIMESTAMP NOT NULL,
    effective_to                   TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.asset IS 'owned hardware, in service over its range; one row for each id';
COMMENT ON COLUMN book.asset.depreciation_nano IS 'over the whole life, 1e-9 of the billing currency at the exchange rate of its start; financing likewise';
COMMENT ON COLUMN book.asset.maintenance_per_year_nano IS '1e-9 of currency for a calendar year; colocation for a calendar month';
COMMENT ON COLUMN book.asset.life_to IS 'end of the life that began with effective_from';

CREATE TABLE book.credit (
    credit_id       VARCHAR NOT NULL,
    round_no        INTEGER NOT NULL,
    pool_no         INTEGER NOT NULL,
    pool_order      INTEGER NOT NULL,
    amount_nano     BIGINT NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.credit IS 'free credits: one row for each pool that one may pay for';
COMMENT ON COLUMN book.credit.round_no IS 'credits of one round share no pool; rounds pay one after another, in the order written';
COMMENT ON COLUMN book.credit.amount_nano IS 'of the whole credit, 1e-9 of the billing currency';

CREATE TABLE book.history (
    subject     VARCHAR NOT NULL,
    content     VARCHAR NOT NULL,
    known_from  TIMESTAMP NOT NULL,
    known_to    TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.history IS 'every row that a replaced table of book ever had, and when it was known; 9999-12-31 is known still';
COMMENT ON COLUMN book.history.subject IS 'the table';
COMMENT ON COLUMN book.history.content IS 'the row as JSON, ids as text';
COMMENT ON COLUMN book.history.known_from IS '1970-01-01: before the history began';

-- Everything but the effective cost is new: hours metered before had one currency and no commitment, so all costs were equal.
ALTER TABLE metering.origin_charge_hourly RENAME TO origin_charge_before;
CREATE TABLE metering.origin_charge_hourly (
    charge_period_start    TIMESTAMP NOT NULL,
    pool_no                INTEGER NOT NULL,
    component              VARCHAR NOT NULL,
    paid_us                HUGEINT NOT NULL,
    effective_cost_nano    BIGINT NOT NULL,
    evidence               VARCHAR NOT NULL,
    currency               VARCHAR NOT NULL,
    cause                  VARCHAR NOT NULL,
    billed_cost_nano       BIGINT NOT NULL,
    list_cost_nano         BIGINT NOT NULL,
    contracted_cost_nano   BIGINT NOT NULL,
    cost_in_currency_nano  BIGINT
);
INSERT INTO metering.origin_charge_hourly
SELECT charge_period_start, pool_no, component, paid_us, effective_cost_nano, '', '', '', effective_cost_nano, effective_cost_nano,
    effective_cost_nano, NULL
FROM metering.origin_charge_before;
DROP TABLE metering.origin_charge_before;
COMMENT ON TABLE metering.origin_charge_hourly IS 'grain: charge_period_start, pool_no, component, evidence, currency, cause; pool 0 carries monthly shared costs, component = their id';
COMMENT ON COLUMN metering.origin_charge_hourly.paid_us IS 'GPU-microseconds paid for; of unused commitments, paid in vain';
COMMENT ON COLUMN metering.origin_charge_hourly.evidence IS 'empty (rate card) | commitment/ID | asset/ID | credit/ID';
COMMENT ON COLUMN metering.origin_charge_hourly.cause IS 'empty: split over deployments; unused_commitment: a line of its own';
COMMENT ON COLUMN metering.origin_charge_hourly.billed_cost_nano IS 'what an invoice says of the hour; an upfront payment is in the hour of its start';
COMMENT ON COLUMN metering.origin_charge_hourly.list_cost_nano IS 'at public prices, where they are known; else the effective cost';
COMMENT ON COLUMN metering.origin_charge_hourly.contracted_cost_nano IS 'at negotiated prices, before commitments';
COMMENT ON COLUMN metering.origin_charge_hourly.cost_in_currency_nano IS 'the effective cost in currency; NULL where that is the billing currency';

CREATE TABLE metering.price_segment (
    price_no      INTEGER NOT NULL,
    pool_no       INTEGER NOT NULL,
    component     VARCHAR NOT NULL,
    evidence      VARCHAR NOT NULL,
    currency      VARCHAR NOT NULL,
    plan          VARCHAR NOT NULL,
    measure       VARCHAR NOT NULL,
    unit          VARCHAR NOT NULL,
    price_nano    HUGEINT NOT NULL,
    divisor       BIGINT NOT NULL,
    paid_e8       BIGINT NOT NULL,
    fx_nano       BIGINT NOT NULL,
    quantity      BIGINT NOT NULL,
    gpus          BIGINT NOT NULL,
    from_us       BIGINT NOT NULL,
    to_us         BIGINT NOT NULL
);
COMMENT ON TABLE metering.price_segment IS 'what the rate card prices in the span metered last, between times at which anything changes; rebuilt whole for every span';
COMMENT ON COLUMN metering.price_segment.price_no IS 'numbers all columns before quantity: what adds up before it is rounded';
COMMENT ON COLUMN metering.price_segment.measure IS 'effective | list | currency';
COMMENT ON COLUMN metering.price_segment.quantity IS 'divided by divisor, how many units; negative where another row has too many';
COMMENT ON COLUMN metering.price_segment.plan IS 'the savings plan that leaves this to the rate card, or empty';

CREATE TABLE metering.card_charge_hourly (
    charge_period_start    TIMESTAMP NOT NULL,
    pool_no                INTEGER NOT NULL,
    component              VARCHAR NOT NULL,
    evidence               VARCHAR NOT NULL,
    currency               VARCHAR NOT NULL,
    paid_us                HUGEINT NOT NULL,
    effective_cost_nano    BIGINT,
    list_cost_nano         BIGINT,
    cost_in_currency_nano  BIGINT
);
COMMENT ON TABLE metering.card_charge_hourly IS 'grain: charge_period_start, pool_no, component, evidence, currency; the rate card''s part of an hour';
COMMENT ON COLUMN metering.card_charge_hourly.evidence IS 'not empty: GPU time that something else pays for, and only its list cost';

CREATE TABLE metering.commitment_hourly (
    charge_period_start    TIMESTAMP NOT NULL,
    commitment_id          VARCHAR NOT NULL,
    pool_no                INTEGER NOT NULL,
    cause                  VARCHAR NOT NULL,
    currency               VARCHAR NOT NULL,
    paid_us                HUGEINT NOT NULL,
    effective_cost_nano    BIGINT NOT NULL,
    billed_cost_nano       BIGINT NOT NULL,
    list_cost_nano         BIGINT NOT NULL,
    cost_in_currency_nano  BIGINT
);
COMMENT ON TABLE metering.commitment_hourly IS 'grain: charge_period_start, commitment_id, pool_no, cause; what an hour of a commitment costs, used or not';

CREATE TABLE metering.asset_hourly (
    charge_period_start    TIMESTAMP NOT NULL,
    asset_id               VARCHAR NOT NULL,
    pool_no                INTEGER NOT NULL,
    component              VARCHAR NOT NULL,
    cause                  VARCHAR NOT NULL,
    currency               VARCHAR NOT NULL,
    paid_us                HUGEINT NOT NULL,
    effective_cost_nano    BIGINT NOT NULL,
    list_cost_nano         BIGINT NOT NULL,
    cost_in_currency_nano  BIGINT
);
COMMENT ON TABLE metering.asset_hourly IS 'grain: charge_period_start, asset_id, component; depreciation is component accelerator';
COMMENT ON COLUMN metering.asset_hourly.cause IS 'unused_commitment where the pool is not in force';

CREATE TABLE metering.credit_pool_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    credit_id            VARCHAR NOT NULL,
    pool_no              INTEGER NOT NULL,
    applied_nano         BIGINT NOT NULL
);
COMMENT ON TABLE metering.credit_pool_hourly IS 'grain: charge_period_start, credit_id, pool_no; what a credit pays of a pool''s hour';

CREATE TABLE metering.credit_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    credit_id            VARCHAR NOT NULL,
    granted_nano         BIGINT NOT NULL,
    applied_nano         BIGINT NOT NULL
);
COMMENT ON TABLE metering.credit_hourly IS 'grain: charge_period_start, credit_id; what is granted and not applied is lost';
