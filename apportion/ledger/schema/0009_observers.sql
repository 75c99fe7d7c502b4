-- One call that several sources tell of: the names it is known by, who is believed first, and what the others said.
ALTER TABLE raw.usage_event ADD COLUMN response_key UHUGEINT;
ALTER TABLE raw.usage_event ADD COLUMN call_key UHUGEINT;
ALTER TABLE raw.superseded_event ADD COLUMN response_key UHUGEINT;
ALTER TABLE raw.superseded_event ADD COLUMN call_key UHUGEINT;
COMMENT ON COLUMN raw.usage_event.response_key IS 'md5_number of response_id, only to be compared; NULL is unknown';
COMMENT ON COLUMN raw.usage_event.call_key IS 'md5_number of call_id; the two are names of one call, whichever an observer knows';

ALTER TABLE book.policy ADD COLUMN observers VARCHAR;
COMMENT ON COLUMN book.policy.observers IS 'JSON list of LIKE patterns with ESCAPE ''\'': of sources that tell of one call, which is believed; NULL: older than the question';

CREATE TABLE metering.observed_event (
    event_row            BIGINT NOT NULL,
    charge_period_start  TIMESTAMP NOT NULL,
    source_no            SMALLINT NOT NULL,
    believed_no          SMALLINT NOT NULL,
    consumed_tokens      BIGINT NOT NULL
);
COMMENT ON TABLE metering.observed_event IS 'grain: event_row; events of the piece of a span metered last that are not metered, since another source is believed about their call; rebuilt whole for every piece';
COMMENT ON COLUMN metering.observed_event.event_row IS 'rowid of raw.usage_event: good within the transaction that made it, and no longer';

CREATE TABLE metering.observed_usage_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    source_no            SMALLINT NOT NULL,
    believed_no          SMALLINT NOT NULL,
    events               BIGINT NOT NULL,
    consumed_tokens      BIGINT NOT NULL
);
COMMENT ON TABLE metering.observed_usage_hourly IS 'grain: charge_period_start, source_no, believed_no; landed events that are not metered, and what they count';
COMMENT ON COLUMN metering.observed_usage_hourly.believed_no IS 'the source whose events of the same calls are metered';

CREATE VIEW export.observed_usage AS
SELECT
    date_trunc('month', seen.charge_period_start) AS billing_period, observer.source, believed.source AS believed_source,
    sum(seen.events)::BIGINT AS events, sum(seen.consumed_tokens)::HUGEINT AS consumed_tokens
FROM metering.observed_usage_hourly AS seen
JOIN raw.source AS observer USING (source_no)
JOIN raw.source AS believed ON believed.source_no = seen.believed_no
GROUP BY ALL;
COMMENT ON VIEW export.observed_usage IS 'events that tell of calls which another source is believed about: never metered, by who told and who is believed';

CREATE OR REPLACE VIEW export.sources AS
SELECT heard.source, max(heard.charge_period_start) AS last_hour
FROM (
    SELECT caller.source, usage.charge_period_start
    FROM metering.placed_usage_hourly AS usage JOIN raw.caller AS caller USING (caller_no)
    UNION ALL
    SELECT observer.source, seen.charge_period_start
    FROM metering.observed_usage_hourly AS seen JOIN raw.source AS observer USING (source_no)
) AS heard
WHERE heard.charge_period_start > (SELECT max(charge_period_start) FROM metering.metered_hour) - INTERVAL 35 DAY
GROUP BY heard.source;
COMMENT ON VIEW export.sources IS 'the last hour each source was heard of in, among the last 35 days; an hour is provisional until all have reported past it';
