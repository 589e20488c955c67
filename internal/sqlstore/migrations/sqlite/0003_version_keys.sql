-- +goose Up
-- Texts that sort as versions do (audience.VersionKey). NULL is not made yet:
-- Open makes those of devices that were there before, and finds them by the index.
ALTER TABLE devices ADD COLUMN os_key TEXT;
ALTER TABLE devices ADD COLUMN app_version_key TEXT;
CREATE INDEX devices_unkeyed ON devices (app, id) WHERE app_version_key IS NULL;

-- +goose Down
DROP INDEX devices_unkeyed;
ALTER TABLE devices DROP COLUMN app_version_key;
ALTER TABLE devices DROP COLUMN os_key;
