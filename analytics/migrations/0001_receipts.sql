-- Receipts: one row for each piece of evidence about a delivery.
--
-- A delivery's rows lie together and in one partition, because the partition is
-- the day on which the API accepted the notification. The same evidence written
-- twice (delivery, attempt, stage) is one row after a merge; queries do not wait
-- for that. Every insert carries a deduplication token, and the window below is
-- how many inserts back a repeat is known.
CREATE TABLE IF NOT EXISTS receipts (
    app             LowCardinality(String),
    notification    String CODEC(ZSTD(1)),
    device          String CODEC(ZSTD(1)),
    delivery        String CODEC(ZSTD(1)),
    attempt         UInt16,
    stage           LowCardinality(String),
    source          LowCardinality(String),
    class           LowCardinality(String),
    provider        LowCardinality(String),
    provider_id     String CODEC(ZSTD(1)),
    kind            LowCardinality(String),
    code            LowCardinality(String),
    detail          String CODEC(ZSTD(1)),
    why             String CODEC(ZSTD(1)),
    at              DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    received_at     DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    accepted_at     DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    since_ms        Float64 CODEC(ZSTD(1)),
    took_ms         Float64 CODEC(ZSTD(1)),
    cost_micros     Int64 CODEC(ZSTD(1)),
    bytes           UInt32 CODEC(ZSTD(1)),
    platform        LowCardinality(String),
    maker           LowCardinality(String),
    os              LowCardinality(String),
    app_version     LowCardinality(String),
    country         LowCardinality(String),
    carrier         LowCardinality(String),
    -- rank is push.Stage.Rank: a higher rung never yields to a lower one.
    rank            UInt8 MATERIALIZED transform(toString(stage),
        ['failed', 'expired', 'cancelled', 'suppressed', 'unknown', 'accepted', 'handed_over', 'delivered', 'displayed', 'clicked'],
        [1, 1, 1, 1, 2, 3, 4, 5, 6, 7], 0),
    -- answer is 1 for the outcome of an attempt itself, 0 for later evidence
    -- and for outcomes without an attempt.
    answer          UInt8 MATERIALIZED provider != '' AND attempt > 0 AND source IN ('vendor_reply', 'herald')
        AND stage IN ('accepted', 'handed_over', 'failed', 'unknown'),
    INDEX received  received_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(accepted_at)
ORDER BY (app, notification, device, delivery, attempt, stage)
TTL toDateTime(accepted_at) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;
