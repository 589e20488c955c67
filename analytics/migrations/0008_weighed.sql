-- What else the roads of a decision were judged by, in the order of roads: what
-- they cost in the worth of a message, and in how many seconds half of what
-- arrives has. Empty where all are 0. A road's chance is its score and its cost.
-- The sample first: another process may be making its view, of all that receipts has.
ALTER TABLE sampled_receipts
    ADD COLUMN IF NOT EXISTS costs   Array(Float32) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS seconds Array(Float32) CODEC(ZSTD(1));

ALTER TABLE receipts
    ADD COLUMN IF NOT EXISTS costs   Array(Float32) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS seconds Array(Float32) CODEC(ZSTD(1));

-- What a view takes from its table is settled when it is made.
DROP TABLE IF EXISTS sampled_receipts_view;
CREATE MATERIALIZED VIEW IF NOT EXISTS sampled_receipts_view TO sampled_receipts AS
SELECT * FROM receipts WHERE cityHash64(app, delivery) % 16 = 0;

DROP TABLE IF EXISTS v_attempts;
CREATE VIEW IF NOT EXISTS v_attempts AS
SELECT
    app, notification, campaign, class, delivery, device, attempt, road, provider, provider_id,
    stage AS outcome, kind, code, detail, why, at, accepted_at, since_ms AS waited_ms, took_ms,
    cost_micros, bytes, platform, maker, os, app_version, country, carrier,
    decision_id, policy, wished, propensity, explored, online, roads, scores, propensities, costs, seconds
FROM receipts
WHERE answer = 1;
