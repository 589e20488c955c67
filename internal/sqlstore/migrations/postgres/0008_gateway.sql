-- +goose Up
-- Businesses: what apps declare of them, the secrets that back ends ask for, and
-- the events that they report.
CREATE TABLE gateway_services (
	app         TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	service     TEXT NOT NULL,
	declaration TEXT NOT NULL,
	revision    BIGINT NOT NULL,
	made_by     TEXT NOT NULL,
	updated_at  BIGINT NOT NULL,
	PRIMARY KEY (app, service)
);

CREATE TABLE gateway_secrets (
	app        TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name       TEXT NOT NULL,
	sealed     BYTEA NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (app, name)
);

CREATE TABLE gateway_events (
	app         TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	service     TEXT NOT NULL,
	event       TEXT NOT NULL,
	id          TEXT NOT NULL,
	digest      TEXT NOT NULL,
	body        TEXT NOT NULL,
	state       TEXT NOT NULL,
	detail      TEXT NOT NULL,
	replays     BIGINT NOT NULL,
	received_at BIGINT NOT NULL,
	PRIMARY KEY (app, service, event, id)
);
CREATE INDEX gateway_events_newest ON gateway_events (app, service, received_at);

-- +goose Down
DROP TABLE gateway_events;
DROP TABLE gateway_secrets;
DROP TABLE gateway_services;
