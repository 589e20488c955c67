-- +goose Up

-- seq counts what changed for a user; a cursor of the user's devices is one of its values.
CREATE TABLE im_users (
  app  TEXT NOT NULL,
  user_id TEXT NOT NULL,
  seq  INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (app, user_id)
) WITHOUT ROWID;

CREATE TABLE im_conversations (
  app          TEXT NOT NULL,
  id           TEXT NOT NULL,
  kind         TEXT NOT NULL,
  title        TEXT NOT NULL DEFAULT '',
  announcement TEXT NOT NULL DEFAULT '',
  join_policy  TEXT NOT NULL DEFAULT '',
  muted        INTEGER NOT NULL DEFAULT 0,
  head         INTEGER NOT NULL DEFAULT 0,
  members      INTEGER NOT NULL DEFAULT 0,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (app, id)
) WITHOUT ROWID;

CREATE TABLE im_messages (
  app          TEXT NOT NULL,
  conversation TEXT NOT NULL,
  seq          INTEGER NOT NULL,
  sender       TEXT NOT NULL,
  client_id    TEXT NOT NULL,
  kind         TEXT NOT NULL,
  body         TEXT NOT NULL,
  reply_to     INTEGER NOT NULL DEFAULT 0,
  mentions     TEXT NOT NULL DEFAULT '[]',
  target       INTEGER NOT NULL DEFAULT 0,
  at           INTEGER NOT NULL,
  edited_at    INTEGER NOT NULL DEFAULT 0,
  recalled     INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (app, conversation, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX im_messages_client ON im_messages (app, sender, client_id);

-- version is the value of im_users.seq at which the user's view of the conversation last changed.
-- ring_due is when the user is to be told by another road that there is something to read; 0 is never.
CREATE TABLE im_members (
  app          TEXT NOT NULL,
  conversation TEXT NOT NULL,
  user_id         TEXT NOT NULL,
  role         TEXT NOT NULL,
  joined       INTEGER NOT NULL DEFAULT 0,
  received     INTEGER NOT NULL DEFAULT 0,
  read         INTEGER NOT NULL DEFAULT 0,
  muted_until  INTEGER NOT NULL DEFAULT 0,
  silent       INTEGER NOT NULL DEFAULT 0,
  gone         INTEGER NOT NULL DEFAULT 0,
  version      INTEGER NOT NULL DEFAULT 0,
  ring_due     INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (app, conversation, user_id)
) WITHOUT ROWID;
CREATE INDEX im_members_user ON im_members (app, user_id, version);
CREATE INDEX im_members_ring ON im_members (ring_due) WHERE ring_due > 0;

CREATE TABLE im_reactions (
  app          TEXT NOT NULL,
  conversation TEXT NOT NULL,
  seq          INTEGER NOT NULL,
  user_id         TEXT NOT NULL,
  emoji        TEXT NOT NULL,
  PRIMARY KEY (app, conversation, seq, user_id, emoji)
) WITHOUT ROWID;

CREATE TABLE im_friends (
  app     TEXT NOT NULL,
  user_id    TEXT NOT NULL,
  friend  TEXT NOT NULL,
  state   TEXT NOT NULL,
  remark  TEXT NOT NULL DEFAULT '',
  text    TEXT NOT NULL DEFAULT '',
  since   INTEGER NOT NULL,
  PRIMARY KEY (app, user_id, friend)
) WITHOUT ROWID;

CREATE TABLE im_blocks (
  app     TEXT NOT NULL,
  user_id    TEXT NOT NULL,
  blocked TEXT NOT NULL,
  PRIMARY KEY (app, user_id, blocked)
) WITHOUT ROWID;
