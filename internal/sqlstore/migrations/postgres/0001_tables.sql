-- +goose Up
-- Times are microseconds since 1970-01-01 UTC. Texts compare by their bytes.

CREATE TABLE apps (
	id           TEXT COLLATE "C" PRIMARY KEY,
	name         TEXT NOT NULL,
	policy       JSONB NOT NULL, -- JSON of push.Policy
	token_secret BYTEA NOT NULL, -- sealed; signs the device tokens
	created_at   BIGINT NOT NULL
);

CREATE TABLE api_keys (
	id           TEXT COLLATE "C" PRIMARY KEY, -- the public part of hk_<id>_<secret>
	app          TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name         TEXT NOT NULL,
	scopes       JSONB NOT NULL, -- JSON list
	hash         BYTEA NOT NULL, -- SHA-256 of the whole key
	created_at   BIGINT NOT NULL,
	last_used_at BIGINT NOT NULL DEFAULT 0, -- to the minute; 0 for never
	revoked_at   BIGINT NOT NULL DEFAULT 0 -- 0 while it is good
);
CREATE INDEX api_keys_app ON api_keys (app, created_at);

CREATE TABLE credentials (
	app        TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	provider   TEXT COLLATE "C" NOT NULL,
	sealed     BYTEA, -- NULL once they were deleted
	version    BIGINT NOT NULL, -- counts the writes, deletions too
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (app, provider)
);

CREATE TABLE devices (
	app         TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	id          TEXT COLLATE "C" NOT NULL,
	user_id     TEXT COLLATE "C" NOT NULL, -- '' for nobody
	platform    TEXT NOT NULL,
	maker       TEXT NOT NULL,
	model       TEXT NOT NULL,
	os          TEXT NOT NULL,
	app_version TEXT NOT NULL,
	country     TEXT NOT NULL,
	carrier     TEXT NOT NULL,
	locale      TEXT NOT NULL,
	timezone    TEXT NOT NULL,
	tags        JSONB NOT NULL, -- JSON list, for reading; device_tags is for finding
	lat         DOUBLE PRECISION,
	lon         DOUBLE PRECISION,
	created_at  BIGINT NOT NULL,
	updated_at  BIGINT NOT NULL,
	PRIMARY KEY (app, id)
);
CREATE INDEX devices_user ON devices (app, user_id, id) WHERE user_id <> '';

-- One address per provider and device, and one device per address.
CREATE TABLE addresses (
	app         TEXT COLLATE "C" NOT NULL,
	device      TEXT COLLATE "C" NOT NULL,
	provider    TEXT COLLATE "C" NOT NULL,
	token       TEXT COLLATE "C" NOT NULL,
	topic       TEXT NOT NULL,
	environment TEXT NOT NULL,
	PRIMARY KEY (app, device, provider),
	FOREIGN KEY (app, device) REFERENCES devices (app, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX addresses_token ON addresses (app, provider, token);

CREATE TABLE device_tags (
	app    TEXT COLLATE "C" NOT NULL,
	tag    TEXT COLLATE "C" NOT NULL,
	device TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (app, tag, device),
	FOREIGN KEY (app, device) REFERENCES devices (app, id) ON DELETE CASCADE
);
CREATE INDEX device_tags_device ON device_tags (app, device);

-- +goose Down
DROP TABLE device_tags;
DROP TABLE addresses;
DROP TABLE devices;
DROP TABLE credentials;
DROP TABLE api_keys;
DROP TABLE apps;
