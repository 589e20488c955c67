-- Lighter: what is added up of each batch is what somebody asks for, so that
-- events are taken at the pace at which they are made and the sums stay small
-- beside them. Things that change have new names, for two processes may run
-- this at the same time.
DROP TABLE IF EXISTS activity_hour_view;
DROP TABLE IF EXISTS activity_minute_view;
DROP TABLE IF EXISTS activity_minute;
DROP TABLE IF EXISTS cohort_hour_view;
DROP TABLE IF EXISTS cohort_minute_view;
DROP TABLE IF EXISTS cohort_minute;
DROP TABLE IF EXISTS cohort_hour;
DROP TABLE IF EXISTS road_hour_view;
DROP TABLE IF EXISTS road_hour;
DROP TABLE IF EXISTS receipts_sample_view;
DROP TABLE IF EXISTS receipts_sample;

-- Ids are hexadecimal and digits mostly, of which ZSTD makes half of what LZ4 does.
ALTER TABLE receipts
    MODIFY COLUMN notification CODEC(ZSTD(1)),
    MODIFY COLUMN device       CODEC(ZSTD(1)),
    MODIFY COLUMN delivery     CODEC(ZSTD(1)),
    MODIFY COLUMN at           CODEC(Delta(8), ZSTD(1)),
    MODIFY COLUMN received_at  CODEC(Delta(8), ZSTD(1)),
    MODIFY COLUMN accepted_at  CODEC(Delta(8), ZSTD(1)),
    MODIFY COLUMN since_ms     CODEC(ZSTD(1)),
    MODIFY COLUMN took_ms      CODEC(ZSTD(1)),
    MODIFY COLUMN cost_micros  CODEC(T64, ZSTD(1)),
    MODIFY COLUMN bytes        CODEC(T64, ZSTD(1)),
    MODIFY COLUMN skew_ms      CODEC(ZSTD(1)),
    MODIFY COLUMN roads        CODEC(ZSTD(1));

-- How small a sample a delivery is still in: tier t is one delivery in 16·2^t.
ALTER TABLE receipts
    ADD COLUMN IF NOT EXISTS tier UInt8 MATERIALIZED multiIf(
        cityHash64(app, delivery) % 8192 = 0, 9, cityHash64(app, delivery) % 4096 = 0, 8, cityHash64(app, delivery) % 2048 = 0, 7,
        cityHash64(app, delivery) % 1024 = 0, 6, cityHash64(app, delivery) % 512 = 0, 5, cityHash64(app, delivery) % 256 = 0, 4,
        cityHash64(app, delivery) % 128 = 0, 3, cityHash64(app, delivery) % 64 = 0, 2, cityHash64(app, delivery) % 32 = 0, 1, 0) CODEC(ZSTD(1));

-- The sample: every piece of evidence about one delivery in 16, those of the
-- smallest samples together, so that a long window is read from few rows.
CREATE TABLE IF NOT EXISTS sampled_receipts AS receipts
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(accepted_at)
ORDER BY (app, tier, toStartOfHour(accepted_at), notification, device, delivery, attempt, stage)
TTL toDateTime(accepted_at) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS sampled_receipts_view TO sampled_receipts AS
SELECT * FROM receipts WHERE cityHash64(app, delivery) % 16 = 0;

-- Flow: what arrived in each minute. It counts rows, so evidence that two
-- reporters brought in two batches counts twice; a batch sent twice counts once.
CREATE TABLE IF NOT EXISTS flow_minute (
    app       LowCardinality(String),
    minute    DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    class     LowCardinality(String),
    provider  LowCardinality(String),
    stage     LowCardinality(String),
    kind      LowCardinality(String),
    receipts  SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    bytes     SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cost_micros SimpleAggregateFunction(sum, Int64) CODEC(T64, ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMMDD(minute)
ORDER BY (app, minute, stage, class, provider, kind)
TTL minute + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS flow_minute_view TO flow_minute AS
SELECT
    app, toStartOfMinute(received_at, 'UTC') AS minute, class, provider, stage, kind,
    toUInt64(count()) AS receipts, sum(toUInt64(bytes)) AS bytes, sum(cost_micros) AS cost_micros
FROM receipts
GROUP BY app, minute, class, provider, stage, kind;

-- Activity by the hour and group of devices, as the flow.
ALTER TABLE activity_hour DROP COLUMN IF EXISTS since_ms;

CREATE MATERIALIZED VIEW IF NOT EXISTS activity_hour_of_receipts TO activity_hour AS
SELECT
    app, toStartOfHour(received_at, 'UTC') AS hour, class, provider, platform, maker, country, stage, kind,
    toUInt64(count()) AS receipts, sum(toUInt64(bytes)) AS bytes, sum(cost_micros) AS cost_micros
FROM receipts
GROUP BY app, hour, class, provider, platform, maker, country, stage, kind;

-- Tallies: what came of the attempts by each provider to each kind of device, for
-- notifications accepted in an hour: the selector's memory. Each number is a set
-- of attempts or deliveries, so that nothing counts twice however often it is
-- reported: exact up to some thousands, within about 1 % beyond. A device that
-- fetches a message from its inbox and acknowledges it was reached by the live
-- connection, although no attempt was under way: it counts as one.
CREATE TABLE IF NOT EXISTS tally_hour (
    app        LowCardinality(String),
    hour       DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    provider   LowCardinality(String),
    platform   LowCardinality(String),
    maker      LowCardinality(String),
    os         LowCardinality(String), -- up to the first dot
    country    LowCardinality(String),
    carrier    LowCardinality(String),
    attempts   AggregateFunction(uniqCombinedIf(14), UInt64, UInt8) CODEC(ZSTD(1)),
    untaken    AggregateFunction(uniqCombinedIf(14), UInt64, UInt8) CODEC(ZSTD(1)), -- of these, refused or without an answer
    failed     AggregateFunction(uniqCombinedIf(14), UInt64, UInt8) CODEC(ZSTD(1)), -- at once or later
    unknown    AggregateFunction(uniqCombinedIf(14), UInt64, UInt8) CODEC(ZSTD(1)),
    delivered  AggregateFunction(uniqCombinedIf(14), UInt64, UInt8) CODEC(ZSTD(1)), -- deliveries
    delivered_mean AggregateFunction(avgIf, Float64, UInt8) CODEC(ZSTD(1)),        -- milliseconds
    delays     SimpleAggregateFunction(sumMap, Map(UInt32, UInt64)) CODEC(ZSTD(1)) -- proofs by the seconds they took, rounded up to a power of two
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (app, hour, provider, platform, maker, os, country, carrier)
TTL hour + INTERVAL 6 WEEK
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS tally_hour_view TO tally_hour AS
WITH attempt = 0 AND stage = 'delivered' AND source = 'device_ack' AS fetched
SELECT
    app, toStartOfHour(accepted_at, 'UTC') AS hour, provider, platform, maker,
    splitByChar('.', toString(os))[1] AS os, country, carrier,
    uniqCombinedIfState(14)(cityHash64(app, delivery, attempt), toUInt8(answer OR fetched)) AS attempts,
    uniqCombinedIfState(14)(cityHash64(app, delivery, attempt), toUInt8(answer AND rank < 3)) AS untaken,
    uniqCombinedIfState(14)(cityHash64(app, delivery, attempt), toUInt8(stage = 'failed')) AS failed,
    uniqCombinedIfState(14)(cityHash64(app, delivery, attempt), toUInt8(stage = 'unknown')) AS unknown,
    uniqCombinedIfState(14)(cityHash64(app, delivery), toUInt8(rank >= 5)) AS delivered,
    avgIfState(since_ms, toUInt8(stage = 'delivered')) AS delivered_mean,
    sumMap(if(stage = 'delivered',
        map(toUInt32(exp2(ceil(log2(greatest(since_ms, 1000.0) / 1000.0)))), toUInt64(1)),
        CAST(map(), 'Map(UInt32, UInt64)'))) AS delays
FROM receipts
WHERE provider != ''
GROUP BY app, hour, provider, platform, maker, os, country, carrier;
