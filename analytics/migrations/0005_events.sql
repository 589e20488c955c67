-- Events: what a receipt says besides. The ids are made of what is there: a
-- delivery's evidence of a stage by an attempt has one event_id however often it
-- is written, and an attempt whose road was chosen has one decision_id, which
-- all evidence about that attempt leads to.
ALTER TABLE receipts
    ADD COLUMN IF NOT EXISTS campaign    LowCardinality(String), -- the caller's name for what the notification is part of
    ADD COLUMN IF NOT EXISTS road        UInt8,                  -- the provider's place among the delivery's roads, from 1; 0 is none
    ADD COLUMN IF NOT EXISTS skew_ms     Int32,                  -- how far "at" was off before it was brought within bounds
    ADD COLUMN IF NOT EXISTS event_id    String ALIAS concat(delivery, '/', toString(attempt), '/', stage),
    ADD COLUMN IF NOT EXISTS decision_id String ALIAS if(attempt = 0, '', concat(delivery, '/', toString(attempt)));

-- The sample: every piece of evidence about one delivery in 32, by its hash. What
-- reads each delivery of a long window reads it here and multiplies.
CREATE TABLE IF NOT EXISTS receipts_sample AS receipts
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(accepted_at)
ORDER BY (app, toStartOfHour(accepted_at), notification, device, delivery, attempt, stage)
TTL toDateTime(accepted_at) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS receipts_sample_view TO receipts_sample AS
SELECT * FROM receipts WHERE cityHash64(app, delivery) % 32 = 0;

-- Activity by the hour, made of what the minute's view made of a batch.
CREATE TABLE IF NOT EXISTS activity_hour (
    app       LowCardinality(String),
    hour      DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    class     LowCardinality(String),
    provider  LowCardinality(String),
    platform  LowCardinality(String),
    maker     LowCardinality(String),
    country   LowCardinality(String),
    stage     LowCardinality(String),
    kind      LowCardinality(String),
    receipts  SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    bytes     SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cost_micros SimpleAggregateFunction(sum, Int64) CODEC(T64, ZSTD(1)),
    since_ms  AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), Float64) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (app, hour, stage, class, provider, platform, maker, country, kind)
TTL hour + INTERVAL 1 YEAR
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS activity_hour_view TO activity_hour AS
SELECT
    app, toStartOfHour(minute, 'UTC') AS hour, class, provider, platform, maker, country, stage, kind,
    sum(receipts) AS receipts, sum(bytes) AS bytes, sum(cost_micros) AS cost_micros,
    quantilesTDigestMergeState(0.5, 0.95, 0.99)(since_ms) AS since_ms
FROM activity_minute
GROUP BY app, hour, class, provider, platform, maker, country, stage, kind;

-- Outcomes: what arrived in each hour of each campaign, and in which ways
-- attempts failed or stayed without an answer.
CREATE TABLE IF NOT EXISTS outcome_hour (
    app       LowCardinality(String),
    hour      DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    campaign  LowCardinality(String),
    class     LowCardinality(String),
    provider  LowCardinality(String),
    stage     LowCardinality(String),
    kind      LowCardinality(String),
    code      LowCardinality(String),
    receipts  SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    bytes     SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cost_micros SimpleAggregateFunction(sum, Int64) CODEC(T64, ZSTD(1)),
    detail    SimpleAggregateFunction(anyLast, String) CODEC(ZSTD(1)),
    last      SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(Delta(8), ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (app, hour, campaign, class, provider, stage, kind, code)
TTL hour + INTERVAL 1 YEAR
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS outcome_hour_view TO outcome_hour AS
SELECT
    app, toStartOfHour(received_at, 'UTC') AS hour, campaign, class, provider, stage, kind, code,
    toUInt64(count()) AS receipts, sum(toUInt64(bytes)) AS bytes, sum(cost_micros) AS cost_micros,
    argMax(detail, received_at) AS detail, max(received_at) AS last
FROM receipts
WHERE campaign != '' OR kind != ''
GROUP BY app, hour, campaign, class, provider, stage, kind, code;

-- Views for analysts. Each has the column app.
CREATE VIEW IF NOT EXISTS v_attempts AS
SELECT
    app, notification, campaign, class, delivery, device, attempt, road, provider, provider_id,
    stage AS outcome, kind, code, detail, why, at, accepted_at, since_ms AS waited_ms, took_ms,
    cost_micros, bytes, platform, maker, os, app_version, country, carrier,
    decision_id, policy, wished, propensity, explored, online, roads, scores, propensities
FROM receipts
WHERE answer = 1;

CREATE VIEW IF NOT EXISTS v_receipts AS
SELECT
    event_id, app, notification, campaign, class, delivery, device, attempt, road, provider,
    stage, source, kind, code, detail, at, received_at, accepted_at, since_ms AS waited_ms, skew_ms,
    cost_micros, bytes, platform, maker, os, app_version, country, carrier, decision_id
FROM receipts;

CREATE VIEW IF NOT EXISTS v_deliveries AS
SELECT
    r.app AS app, r.delivery AS delivery,
    any(r.notification) AS notification, any(r.campaign) AS campaign, any(r.class) AS class, any(r.device) AS device,
    any(r.platform) AS platform, any(r.maker) AS maker, any(r.os) AS os, any(r.app_version) AS app_version,
    any(r.country) AS country, any(r.carrier) AS carrier,
    min(r.accepted_at) AS accepted_at,
    argMax(toString(r.stage), (r.rank, r.received_at)) AS stage,
    max(r.rank) AS rank,
    uniqExactIf(r.attempt, r.answer = 1) AS attempts,
    arrayDistinct(arrayMap(x -> x.2, arraySort(groupArrayIf((r.attempt, toString(r.provider)), r.answer = 1)))) AS roads,
    argMinIf(toString(r.provider), r.received_at, r.rank >= 5) AS delivered_by,
    if(max(r.rank) >= 5, minIf(r.since_ms, r.rank >= 5), NULL) AS delivered_ms,
    arraySum(x -> x.3, groupUniqArrayIf((r.attempt, toString(r.stage), r.cost_micros), r.cost_micros != 0)) AS cost_micros
FROM receipts AS r
GROUP BY r.app, r.delivery;

CREATE VIEW IF NOT EXISTS v_decisions AS SELECT * FROM decisions;

CREATE VIEW IF NOT EXISTS v_activity AS
SELECT
    app, hour, class, provider, platform, maker, country, stage, kind,
    sum(h.receipts) AS receipts, sum(h.bytes) AS bytes, sum(h.cost_micros) AS cost_micros
FROM activity_hour AS h
GROUP BY app, hour, class, provider, platform, maker, country, stage, kind;

CREATE VIEW IF NOT EXISTS v_campaigns AS
SELECT
    app, campaign, hour, class, provider, stage, kind,
    sum(h.receipts) AS receipts, sum(h.bytes) AS bytes, sum(h.cost_micros) AS cost_micros
FROM outcome_hour AS h
WHERE campaign != ''
GROUP BY app, campaign, hour, class, provider, stage, kind;

CREATE VIEW IF NOT EXISTS v_errors AS
SELECT app, hour, class, campaign, provider, kind, code, sum(h.receipts) AS receipts, anyLast(h.detail) AS detail, max(h.last) AS last
FROM outcome_hour AS h
WHERE kind != ''
GROUP BY app, hour, class, campaign, provider, kind, code;
