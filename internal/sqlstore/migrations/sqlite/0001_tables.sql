-- +goose Up
-- Times are microseconds since 1970-01-01 UTC. Texts compare by their bytes.

CREATE TABLE apps (
	id           TEXT PRIMARY KEY,
	name         TEXT NOT NULL,
	policy       TEXT NOT NULL,            -- JSON of push.Policy
	token_secret BLOB NOT NULL,            -- sealed; signs the device tokens
	created_at   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE api_keys (
	id           TEXT PRIMARY KEY,         -- the public part of hk_<id>_<secret>
	app          TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name         TEXT NOT NULL,
	scopes       TEXT NOT NULL,            -- JSON list
	hash         BLOB NOT NULL,            -- SHA-256 of the whole key
	created_at   INTEGER NOT NULL,
	last_used_at INTEGER NOT NULL DEFAULT 0, -- to the minute; 0 for never
	revoked_at   INTEGER NOT NULL DEFAULT 0  -- 0 while it is good
) WITHOUT ROWID;
CREATE INDEX api_keys_app ON api_keys (app, created_at);

CREATE TABLE credentials (
	app        TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	provider   TEXT NOT NULL,
	sealed     BLOB,                       -- NULL once they were deleted
	version    INTEGER NOT NULL,           -- counts the writes, deletions too
	updated_at INTEGER NOT NULL,
	PRIMARY KEY (app, provider)
) WITHOUT ROWID;

CREATE TABLE devices (
	app         TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	id          TEXT NOT NULL,
	user_id     TEXT NOT NULL,             -- '' for nobody
	platform    TEXT NOT NULL,
	maker       TEXT NOT NULL,
	model       TEXT NOT NULL,
	os          TEXT NOT NULL,
	app_version TEXT NOT NULL,
	country     TEXT NOT NULL,
	carrier     TEXT NOT NULL,
	locale      TEXT NOT NULL,
	timezone    TEXT NOT NULL,
	tags        TEXT NOT NULL,             -- JSON list, for reading; device_tags is for finding
	lat         REAL,
	lon         REAL,
	created_at  INTEGER NOT NULL,
	updated_at  INTEGER NOT NULL,
	PRIMARY KEY (app, id)
) WITHOUT ROWID;
CREATE INDEX devices_user ON devices (app, user_id, id) WHERE user_id <> '';

-- One address per provider and device, and one device per address.
CREATE TABLE addresses (
	app         TEXT NOT NULL,
	device      TEXT NOT NULL,
	provider    TEXT NOT NULL,
	token       TEXT NOT NULL,
	topic       TEXT NOT NULL,
	environment TEXT NOT NULL,
	PRIMARY KEY (app, device, provider),
	FOREIGN KEY (app, device) REFERENCES devices (app, id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE UNIQUE INDEX addresses_token ON addresses (app, provider, token);

CREATE TABLE device_tags (
	app    TEXT NOT NULL,
	tag    TEXT NOT NULL,
	device TEXT NOT NULL,
	PRIMARY KEY (app, tag, device),
	FOREIGN KEY (app, device) REFERENCES devices (app, id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX device_tags_device ON device_tags (app, device);

-- +goose Down
DROP TABLE device_tags;
DROP TABLE addresses;
DROP TABLE devices;
DROP TABLE credentials;
DROP TABLE api_keys;
DROP TABLE apps;
