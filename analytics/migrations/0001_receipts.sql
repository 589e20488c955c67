-- Receipts: one row for each piece of evidence about a delivery.
--
-- A delivery's rows lie together and in one partition, because the partition is
-- the day on which the API accepted the notification. The same evidence written
-- twice (delivery, attempt, stage) is one row after a merge; queries do not wait
-- for that. Every insert carries a deduplication token, and the window below is
-- how many inserts back a repeat is known.
CREATE TABLE IF NOT EXISTS receipts (
    app             LowCardinality(String),
    notification    String,
    device          String,
    delivery        String,
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
    at              DateTime64(3, 'UTC') CODEC(Delta(8), LZ4),
    received_at     DateTime64(3, 'UTC') CODEC(Delta(8), LZ4),
    accepted_at     DateTime64(3, 'UTC') CODEC(Delta(8), LZ4),
    since_ms        Float64,
    took_ms         Float64,
    cost_micros     Int64,
    bytes           UInt32,
    platform        LowCardinality(String),
    maker           LowCardinality(String),
    os              LowCardinality(String),
    app_version     LowCardinality(String),
    country         LowCardinality(String),
    carrier         LowCardinality(String),
    rank            UInt8, -- push.Stage.Rank: a higher rung never yields to a lower one
    answer          UInt8, -- 1: the outcome of an attempt itself; 0: later evidence, or an outcome without an attempt
    INDEX received  received_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(accepted_at)
ORDER BY (app, notification, device, delivery, attempt, stage)
TTL toDateTime(accepted_at) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;
