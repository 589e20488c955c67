-- Activity: what arrived in each minute, by every dimension. It counts rows, so
-- evidence that was recorded twice in two batches counts twice until the day
-- is out; a batch sent twice counts once.
CREATE TABLE IF NOT EXISTS activity_minute (
    app       LowCardinality(String),
    minute    DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    class     LowCardinality(String),
    provider  LowCardinality(String),
    platform  LowCardinality(String),
    maker     LowCardinality(String),
    country   LowCardinality(String),
    stage     LowCardinality(String),
    kind      LowCardinality(String),
    receipts  SimpleAggregateFunction(sum, UInt64),
    bytes     SimpleAggregateFunction(sum, UInt64),
    cost_micros SimpleAggregateFunction(sum, Int64),
    since_ms  AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), Float64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMMDD(minute)
ORDER BY (app, minute, class, provider, platform, maker, country, stage, kind)
TTL minute + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS activity_minute_view TO activity_minute AS
SELECT
    app, toStartOfMinute(received_at, 'UTC') AS minute, class, provider, platform, maker, country, stage, kind,
    toUInt64(count()) AS receipts,
    sum(toUInt64(bytes)) AS bytes,
    sum(cost_micros) AS cost_micros,
    quantilesTDigestState(0.5, 0.95, 0.99)(since_ms) AS since_ms
FROM receipts
GROUP BY app, minute, class, provider, platform, maker, country, stage, kind;
