-- Decisions: how the road of an attempt was chosen, beside the receipt that
-- answers it. Other rows have them empty.
ALTER TABLE receipts
    ADD COLUMN IF NOT EXISTS policy       LowCardinality(String),
    ADD COLUMN IF NOT EXISTS wished       LowCardinality(String), -- what the selector would have taken, where it was not heard
    ADD COLUMN IF NOT EXISTS propensity   Float32 CODEC(ZSTD(1)), -- with which the road was to be chosen
    ADD COLUMN IF NOT EXISTS explored     UInt8,
    ADD COLUMN IF NOT EXISTS online       UInt8,                  -- the live connection was believed to stand
    ADD COLUMN IF NOT EXISTS roads        Array(LowCardinality(String)),
    ADD COLUMN IF NOT EXISTS scores       Array(Float32) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS propensities Array(Float32) CODEC(ZSTD(1));

-- First decisions with what came of them: what off-policy estimates read. A
-- first attempt that refused is followed by others; what counts is whether the
-- delivery's first road was proven to have brought it.
CREATE VIEW IF NOT EXISTS decisions AS
SELECT
    app, delivery, device, notification, class, maker, country, carrier, platform, accepted_at,
    first.1 AS chosen, first.2 AS policy, first.3 AS propensity, first.4 AS explored, first.5 AS online,
    first.6 AS roads, first.7 AS scores, first.8 AS propensities,
    toUInt8(arrived AND arrived_by = first.1) AS reward
FROM (
    SELECT
        r.app AS app, r.delivery AS delivery,
        any(r.device) AS device, any(r.notification) AS notification, any(r.class) AS class,
        any(r.maker) AS maker, any(r.country) AS country, any(r.carrier) AS carrier, any(r.platform) AS platform,
        min(r.accepted_at) AS accepted_at,
        argMinIf((toString(r.provider), toString(r.policy), r.propensity, r.explored, r.online, r.roads, r.scores, r.propensities),
            r.attempt, r.answer = 1 AND r.policy != '') AS first,
        minIf(r.attempt, r.answer = 1 AND r.policy != '') AS first_attempt,
        max(r.rank) >= 5 AS arrived,
        argMinIf(toString(r.provider), r.received_at, r.rank >= 5) AS arrived_by
    FROM receipts AS r
    GROUP BY r.app, r.delivery)
WHERE first_attempt = 1;

-- Roads: what came of the attempts by each provider to each kind of device, hour
-- by hour, narrower than the cohorts: the selector's memory.
CREATE TABLE IF NOT EXISTS road_hour (
    app        LowCardinality(String),
    hour       DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    provider   LowCardinality(String),
    platform   LowCardinality(String),
    maker      LowCardinality(String),
    os         LowCardinality(String), -- up to the first dot
    country    LowCardinality(String),
    carrier    LowCardinality(String),
    tried      AggregateFunction(uniqCombined64If(12), UInt64, UInt8),
    delivered  AggregateFunction(uniqCombined64If(12), UInt64, UInt8),
    delays     SimpleAggregateFunction(sumMap, Map(UInt32, UInt64)) -- proofs by the seconds they took, rounded up to a power of two
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (app, hour, provider, platform, maker, os, country, carrier)
TTL hour + INTERVAL 6 WEEK
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS road_hour_view TO road_hour AS
SELECT
    app, toStartOfHour(accepted_at, 'UTC') AS hour, provider, platform, maker,
    splitByChar('.', toString(os))[1] AS os, country, carrier,
    uniqCombined64IfState(12)(cityHash64(app, delivery, provider), toUInt8(answer AND rank >= 2)) AS tried,
    uniqCombined64IfState(12)(cityHash64(app, delivery, provider), toUInt8(rank >= 5)) AS delivered,
    sumMap(if(stage = 'delivered',
        map(toUInt32(exp2(ceil(log2(greatest(since_ms, 1000.0) / 1000.0)))), toUInt64(1)),
        CAST(map(), 'Map(UInt32, UInt64)'))) AS delays
FROM receipts
WHERE provider != ''
GROUP BY app, hour, provider, platform, maker, os, country, carrier;
