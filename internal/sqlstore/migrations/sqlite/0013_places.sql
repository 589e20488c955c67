-- +goose Up
-- Where devices are, if they let it be known, and what apps have on the map.
ALTER TABLE devices ADD COLUMN placed_at INTEGER; -- when the device itself reported lat and lon; NULL if the app gave them
ALTER TABLE devices ADD COLUMN accuracy REAL;     -- metres, with placed_at

CREATE TABLE place_consents (
	app        TEXT NOT NULL,
	device     TEXT NOT NULL,
	mode       TEXT NOT NULL,
	nearby     INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	PRIMARY KEY (app, device),
	FOREIGN KEY (app, device) REFERENCES devices (app, id) ON DELETE CASCADE
) WITHOUT ROWID;

-- Fences and named places. One that was removed stays as a row without a body,
-- so that every process learns of it.
CREATE TABLE places (
	app        TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	what       TEXT NOT NULL,    -- fence or place
	id         TEXT NOT NULL,
	body       TEXT NOT NULL,    -- JSON; '' once it was removed
	revision   INTEGER NOT NULL, -- of the app's map, when this was written
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	PRIMARY KEY (app, what, id)
) WITHOUT ROWID;
CREATE INDEX places_revision ON places (app, revision);

CREATE TABLE place_revisions (
	app      TEXT PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
	revision INTEGER NOT NULL
) WITHOUT ROWID;

-- +goose Down
DROP TABLE place_revisions;
DROP TABLE places;
DROP TABLE place_consents;
ALTER TABLE devices DROP COLUMN accuracy;
ALTER TABLE devices DROP COLUMN placed_at;
