-- +goose Up
-- Where devices are, if they let it be known, and what apps have on the map.
ALTER TABLE devices ADD COLUMN placed_at BIGINT; -- when the device itself reported lat and lon; NULL if the app gave them
ALTER TABLE devices ADD COLUMN accuracy DOUBLE PRECISION;     -- metres, with placed_at

CREATE TABLE place_consents (
	app        TEXT COLLATE "C" NOT NULL,
	device     TEXT COLLATE "C" NOT NULL,
	mode       TEXT NOT NULL,
	nearby     BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (app, device),
	FOREIGN KEY (app, device) REFERENCES devices (app, id) ON DELETE CASCADE
);

-- Fences and named places. One that was removed stays as a row without a body,
-- so that every process learns of it.
CREATE TABLE places (
	app        TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	what       TEXT COLLATE "C" NOT NULL,    -- fence or place
	id         TEXT COLLATE "C" NOT NULL,
	body       TEXT NOT NULL,    -- JSON; '' once it was removed
	revision   BIGINT NOT NULL, -- of the app's map, when this was written
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (app, what, id)
);
CREATE INDEX places_revision ON places (app, revision);

CREATE TABLE place_revisions (
	app      TEXT COLLATE "C" PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
	revision BIGINT NOT NULL
);

-- +goose Down
DROP TABLE place_revisions;
DROP TABLE places;
DROP TABLE place_consents;
ALTER TABLE devices DROP COLUMN accuracy;
ALTER TABLE devices DROP COLUMN placed_at;
