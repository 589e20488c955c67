-- One row for each call to a business through the gateway. The exchange, masked,
-- is there where the service's declaration keeps some, and for a week.
CREATE TABLE IF NOT EXISTS gateway_events (
    app             LowCardinality(String),
    service         LowCardinality(String),
    operation       LowCardinality(String),
    version         UInt16,
    device          String, -- '' for calls by key
    accepted_at     DateTime64(3, 'UTC') CODEC(Delta(8), LZ4),
    took_ms         Float64,
    code            LowCardinality(String), -- '' if it was answered
    cached          LowCardinality(String), -- '', hit or stale
    partial         UInt8,  -- parts that could not be had
    bytes           UInt32, -- of the answer
    exchange        String CODEC(ZSTD(3)) TTL toDateTime(accepted_at) + INTERVAL 7 DAY
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(accepted_at)
ORDER BY (app, service, operation, accepted_at)
TTL toDateTime(accepted_at) + INTERVAL 30 DAY;
