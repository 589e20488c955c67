-- +goose Up
-- Businesses: what apps declare of them, the secrets that back ends ask for, and
-- the events that they report.
CREATE TABLE gateway_services (
	app         TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	service     TEXT NOT NULL,
	declaration TEXT NOT NULL,
	revision    INTEGER NOT NULL,
	made_by     TEXT NOT NULL,
	updated_at  INTEGER NOT NULL,
	PRIMARY KEY (app, service)
) WITHOUT ROWID;

CREATE TABLE gateway_secrets (
	app        TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name       TEXT NOT NULL,
	sealed     BLOB NOT NULL,
	updated_at INTEGER NOT NULL,
	PRIMARY KEY (app, name)
) WITHOUT ROWID;

CREATE TABLE gateway_events (
	app         TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	service     TEXT NOT NULL,
	event       TEXT NOT NULL,
	id          TEXT NOT NULL,
	digest      TEXT NOT NULL,
	body        TEXT NOT NULL,
	state       TEXT NOT NULL,
	detail      TEXT NOT NULL,
	replays     INTEGER NOT NULL,
	received_at INTEGER NOT NULL,
	PRIMARY KEY (app, service, event, id)
) WITHOUT ROWID;
CREATE INDEX gateway_events_newest ON gateway_events (app, service, received_at);

-- +goose Down
DROP TABLE gateway_events;
DROP TABLE gateway_secrets;
DROP TABLE gateway_services;
