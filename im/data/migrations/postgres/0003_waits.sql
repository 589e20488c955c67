-- +goose Up

-- Whom to ring for unless they take what was said by then: one row for all that a transaction said. members is a JSON
-- list of conversation, user and number. Taking a message so changes nothing here, and is looked at once.
CREATE TABLE im_waits (
  id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  app     TEXT NOT NULL,
  due     BIGINT NOT NULL,
  members TEXT NOT NULL
);
CREATE INDEX im_waits_due ON im_waits (due);

-- rung is the number of the latest message that was rung for.
ALTER TABLE im_members ADD COLUMN rung BIGINT NOT NULL DEFAULT 0;
