package data

// messageColumns are what [message] reads, of im_messages AS m.
const messageColumns = `m.conversation, m.seq, m.sender, m.client_id, m.kind, m.body, m.reply_to, m.mentions, m.target, m.at, m.edited_at, m.recalled`

// The statements of one transaction that says messages. $1 is a JSON list, $2
// the app.
const (
	findByClient = `
		WITH k AS MATERIALIZED (SELECT value->>0 AS sender, value->>1 AS client FROM json_each($1))
		SELECT ` + messageColumns + ` FROM k JOIN im_messages m ON m.app = $2 AND m.sender = k.sender AND m.client_id = k.client`

	findBySeq = `SELECT ` + messageColumns + ` FROM im_messages m WHERE m.app = $1 AND m.conversation = $2 AND m.seq = $3`

	// A list of conversations; $3 is how many members a small one has at most. A
	// conversation comes with each of its members if it is small, else alone. The
	// order of the joins is said, because SQLite would begin with all members of
	// the app.
	readKnown = `
		WITH k AS MATERIALIZED (SELECT value AS id FROM json_each_text($1))
		SELECT c.id, c.kind, c.muted, c.head, c.members, c.roster,
			coalesce(m.user_id, ''), coalesce(m.role, ''), coalesce(m.muted_until, 0),
			c.kind = 'direct' AND EXISTS (SELECT 1 FROM im_members p JOIN im_blocks b ON b.app = p.app AND b.user_id = p.user_id AND b.blocked = m.user_id
				WHERE p.app = $2 AND p.conversation = c.id AND p.user_id <> m.user_id),
			c.kind = 'direct' AND EXISTS (SELECT 1 FROM im_members p JOIN im_friends f ON f.app = p.app AND f.user_id = p.user_id AND f.friend = m.user_id
				WHERE f.state = 'friends' AND p.app = $2 AND p.conversation = c.id AND p.user_id <> m.user_id)
		FROM k CROSS JOIN im_conversations c
		LEFT JOIN im_members m ON c.members <= $3 AND m.app = $2 AND m.conversation = c.id AND m.gone = 0
		WHERE c.app = $2 AND c.id = k.id`

	// Pairs of conversation and sender.
	readSenders = `
		WITH k AS MATERIALIZED (SELECT value->>0 AS conversation, value->>1 AS sender FROM json_each($1))
		SELECT m.conversation, m.user_id, m.role, m.muted_until FROM k CROSS JOIN im_members m
		WHERE m.app = $2 AND m.conversation = k.conversation AND m.user_id = k.sender AND m.gone = 0`

	// A list of ids; $3 is the time.
	makeDirect = `
		INSERT INTO im_conversations (app, id, kind, members, created_at)
		SELECT $2, value, 'direct', 2, CAST($3 AS BIGINT) FROM json_each_text($1) WHERE true
		ON CONFLICT (app, id) DO NOTHING`

	// Pairs of conversation and user.
	addDirect = `
		INSERT INTO im_members (app, conversation, user_id, role)
		SELECT $2, value->>0, value->>1, 'member' FROM json_each($1) WHERE true
		ON CONFLICT (app, conversation, user_id) DO NOTHING`

	// Pairs of conversation and how many messages it gets.
	raiseHeads = `
		WITH k AS MATERIALIZED (SELECT value->>0 AS which, CAST(value->>1 AS BIGINT) AS n FROM json_each($1))
		UPDATE im_conversations AS c SET head = c.head + k.n
		FROM k
		WHERE c.app = $2 AND c.id = k.which
		RETURNING id, head`

	insertMessages = `
		WITH k AS MATERIALIZED (SELECT value FROM json_each($1))
		INSERT INTO im_messages (app, conversation, seq, sender, client_id, kind, body, reply_to, mentions, target, at)
		SELECT $2, value->>0, CAST(value->>1 AS BIGINT), value->>2, value->>3, value->>4, value->>5,
			CAST(value->>6 AS BIGINT), value->>7, CAST(value->>8 AS BIGINT), CAST(value->>9 AS BIGINT) FROM k`

	recall = `UPDATE im_messages SET body = '{}', recalled = 1 WHERE app = $1 AND conversation = $2 AND seq = $3`
	edit   = `UPDATE im_messages SET body = $4, edited_at = $5 WHERE app = $1 AND conversation = $2 AND seq = $3`

	// A list of users. Sorted, so that two processes take their locks in one
	// order.
	bumpUsers = `
		INSERT INTO im_users (app, user_id, seq) SELECT DISTINCT $2, value, 1 FROM json_each_text($1) WHERE true ORDER BY value
		ON CONFLICT (app, user_id) DO UPDATE SET seq = im_users.seq + 1
		RETURNING user_id, seq`

	// Conversation, user, the version of the user's view (0: it does not move) and
	// the number of the user's own last message, or 0: who speaks has read, and
	// nobody is rung for their own words.
	moveMembers = `
		WITH k AS MATERIALIZED (SELECT value->>0 AS id, value->>1 AS who, CAST(value->>2 AS BIGINT) AS version, CAST(value->>3 AS BIGINT) AS own FROM json_each($1))
		UPDATE im_members AS m SET
			version = CASE WHEN k.version > 0 THEN k.version ELSE m.version END,
			received = CASE WHEN k.own > m.received THEN k.own ELSE m.received END,
			read = CASE WHEN k.own > m.read THEN k.own ELSE m.read END,
			ring_due = CASE WHEN k.own > 0 THEN 0 ELSE m.ring_due END
		FROM k WHERE m.app = $2 AND m.conversation = k.id AND m.user_id = k.who`

	// App, when to ring, and for whom: triples of conversation, user and number.
	noteWait = `INSERT INTO im_waits (app, due, members) VALUES ($1, $2, $3)`

	// Conversation, user or "*", when to ring, and who calls them.
	ringMentioned = `
		WITH k AS MATERIALIZED (SELECT value->>0 AS id, value->>1 AS who, CAST(value->>2 AS BIGINT) AS due, value->>3 AS caller FROM json_each($1))
		UPDATE im_members AS m SET ring_due = k.due
		FROM k
		WHERE m.app = $2 AND m.conversation = k.id AND (k.who = '*' OR m.user_id = k.who) AND m.user_id <> k.caller
			AND m.gone = 0 AND (m.ring_due = 0 OR m.ring_due > k.due)`

	// dataVersion changes when another process has changed the data: SQLite's own.
	dataVersion = `PRAGMA data_version`
)

// learned are the statements that every transaction of messages runs.
var learned = []string{findByClient, readKnown, raiseHeads, insertMessages, bumpUsers, moveMembers, noteWait}
