-- Where cached prompt tokens were read from, as engines tell it, and what one of another tier than the GPU's memory weighs.
ALTER TABLE raw.engine_sample ADD COLUMN cache_read_host_tokens BIGINT;
ALTER TABLE raw.engine_sample ADD COLUMN cache_read_storage_tokens BIGINT;
COMMENT ON COLUMN raw.engine_sample.cache_read_host_tokens IS 'cumulative counter of the part of cache_read_tokens that came from the memory of the host';
COMMENT ON COLUMN raw.engine_sample.cache_read_storage_tokens IS 'cumulative counter of the part of cache_read_tokens that came from a disk or another node';

ALTER TABLE book.policy ADD COLUMN cache_read_host_weight BIGINT;
ALTER TABLE book.policy ADD COLUMN cache_read_storage_weight BIGINT;
COMMENT ON COLUMN book.policy.cache_read_host_weight IS 'as cache_read_weight, of a token read from the memory of the host; where a tier weighs differently, all weights are multiples of 10000, so that a mix in basis points is one integer; NULL in a policy older than the column: cache_read_weight';
COMMENT ON COLUMN book.policy.cache_read_storage_weight IS 'alike, of a token read from a disk or another node';

CREATE VIEW book.cache_tier_weight AS
SELECT policy_version, cache_read_weight, cache_read_host_weight, cache_read_storage_weight
FROM book.policy
WHERE cache_read_host_weight <> cache_read_weight OR cache_read_storage_weight <> cache_read_weight;
COMMENT ON VIEW book.cache_tier_weight IS 'policies in which a cached token weighs differently by where it was read from';

ALTER TABLE metering.engine_usage_hourly ADD COLUMN cache_read_host_tokens BIGINT;
ALTER TABLE metering.engine_usage_hourly ADD COLUMN cache_read_storage_tokens BIGINT;
ALTER TABLE metering.engine_usage_hourly ADD COLUMN tiered_cache_read_tokens BIGINT;
COMMENT ON COLUMN metering.engine_usage_hourly.cache_read_host_tokens IS 'read from the memory of the host, of the engines that tell cache reads too';
COMMENT ON COLUMN metering.engine_usage_hourly.cache_read_storage_tokens IS 'read from a disk or another node, alike';
COMMENT ON COLUMN metering.engine_usage_hourly.tiered_cache_read_tokens IS 'cache reads of the engines that tell either: what is neither came from the memory of a GPU';

CREATE TABLE metering.cache_tier_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    device_bp            INTEGER NOT NULL,
    host_bp              INTEGER NOT NULL,
    storage_bp           INTEGER NOT NULL,
    excess_tokens        BIGINT NOT NULL,
    cache_read_weight    BIGINT NOT NULL
);
COMMENT ON TABLE metering.cache_tier_hourly IS 'grain: charge_period_start, pool_no, deployment_no; only where tiers weigh differently and engines tell them';
COMMENT ON COLUMN metering.cache_tier_hourly.device_bp IS 'share of cache reads that came from the memory of a GPU, in basis points (1/10000); the three add up to 10000';
COMMENT ON COLUMN metering.cache_tier_hourly.storage_bp IS 'from a disk or another node';
COMMENT ON COLUMN metering.cache_tier_hourly.excess_tokens IS 'by how much host and storage together exceed the cache reads that they are parts of; then the device has no share';
COMMENT ON COLUMN metering.cache_tier_hourly.cache_read_weight IS 'what a cache read of this deployment and hour weighs, scaled as the weights of the kinds are';

ALTER TABLE metering.phase_share_hourly ADD COLUMN cache_read_weight BIGINT;
COMMENT ON COLUMN metering.phase_share_hourly.cache_read_weight IS 'of cache_tier_hourly; NULL: a cache read weighs what the policy says';
