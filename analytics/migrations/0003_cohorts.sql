-- Cohorts: what came of the deliveries whose notification was accepted in a
-- minute or an hour, by group of devices and provider. Each number is a set of
-- attempts or deliveries, so that nothing counts twice however often it is
-- reported: exact up to some thousands, within about 0.6 % beyond.
-- A device that fetches a message from its inbox and acknowledges it was reached
-- by the live connection, although no attempt was under way: it counts as one.
CREATE TABLE IF NOT EXISTS cohort_minute (
    app        LowCardinality(String),
    minute     DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    class      LowCardinality(String),
    provider   LowCardinality(String),
    platform   LowCardinality(String),
    maker      LowCardinality(String),
    country    LowCardinality(String),
    attempts   AggregateFunction(uniqCombined64If(15), UInt64, UInt8),
    accepted   AggregateFunction(uniqCombined64If(15), UInt64, UInt8),
    failed     AggregateFunction(uniqCombined64If(15), UInt64, UInt8),
    unknown    AggregateFunction(uniqCombined64If(15), UInt64, UInt8),
    delivered  AggregateFunction(uniqCombined64If(15), UInt64, UInt8),
    delivered_ms AggregateFunction(quantilesTDigestIf(0.5, 0.95, 0.99), Float64, UInt8),
    delivered_mean AggregateFunction(avgIf, Float64, UInt8),
    cost_micros SimpleAggregateFunction(sum, Int64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMMDD(minute)
ORDER BY (app, minute, provider, class, platform, maker, country)
TTL minute + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS cohort_minute_view TO cohort_minute AS
WITH attempt = 0 AND stage = 'delivered' AND source = 'device_ack' AS fetched
SELECT
    app, toStartOfMinute(accepted_at, 'UTC') AS minute, class, provider, platform, maker, country,
    uniqCombined64IfState(15)(cityHash64(app, delivery, attempt), toUInt8(answer OR fetched)) AS attempts,
    uniqCombined64IfState(15)(cityHash64(app, delivery, attempt), toUInt8((answer AND rank >= 3) OR fetched)) AS accepted,
    uniqCombined64IfState(15)(cityHash64(app, delivery, attempt), toUInt8(stage = 'failed')) AS failed,
    uniqCombined64IfState(15)(cityHash64(app, delivery, attempt), toUInt8(stage = 'unknown')) AS unknown,
    uniqCombined64IfState(15)(cityHash64(app, delivery), toUInt8(rank >= 5)) AS delivered,
    quantilesTDigestIfState(0.5, 0.95, 0.99)(since_ms, toUInt8(stage = 'delivered')) AS delivered_ms,
    avgIfState(since_ms, toUInt8(stage = 'delivered')) AS delivered_mean,
    sum(cost_micros) AS cost_micros
FROM receipts
WHERE provider != ''
GROUP BY app, minute, class, provider, platform, maker, country;

CREATE TABLE IF NOT EXISTS cohort_hour (
    app        LowCardinality(String),
    hour       DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    class      LowCardinality(String),
    provider   LowCardinality(String),
    platform   LowCardinality(String),
    maker      LowCardinality(String),
    country    LowCardinality(String),
    attempts   AggregateFunction(uniqCombined64If(15), UInt64, UInt8),
    accepted   AggregateFunction(uniqCombined64If(15), UInt64, UInt8),
    failed     AggregateFunction(uniqCombined64If(15), UInt64, UInt8),
    unknown    AggregateFunction(uniqCombined64If(15), UInt64, UInt8),
    delivered  AggregateFunction(uniqCombined64If(15), UInt64, UInt8),
    delivered_mean  AggregateFunction(avgIf, Float64, UInt8),
    cost_micros SimpleAggregateFunction(sum, Int64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (app, hour, provider, class, platform, maker, country)
TTL hour + INTERVAL 1 YEAR
SETTINGS non_replicated_deduplication_window = 10000;

-- The hour is made of what the minute's view made of a batch: some rows, not
-- thousands.
CREATE MATERIALIZED VIEW IF NOT EXISTS cohort_hour_view TO cohort_hour AS
SELECT
    app, toStartOfHour(minute, 'UTC') AS hour, class, provider, platform, maker, country,
    uniqCombined64IfMergeState(15)(attempts) AS attempts,
    uniqCombined64IfMergeState(15)(accepted) AS accepted,
    uniqCombined64IfMergeState(15)(failed) AS failed,
    uniqCombined64IfMergeState(15)(unknown) AS unknown,
    uniqCombined64IfMergeState(15)(delivered) AS delivered,
    avgIfMergeState(delivered_mean) AS delivered_mean,
    sum(cost_micros) AS cost_micros
FROM cohort_minute
GROUP BY app, hour, class, provider, platform, maker, country;
