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

	// Pairs of conversation and sender.
	readFacts = `
		WITH k AS MATERIALIZED (SELECT value->>0 AS conversation, value->>1 AS sender FROM json_each($1))
		SELECT k.conversation, k.sender, c.kind, c.muted, c.head, c.members,
			coalesce(me.role, ''), coalesce(me.muted_until, 0), coalesce(me.gone, 1),
			EXISTS (SELECT 1 FROM im_members p JOIN im_blocks b ON b.app = p.app AND b.user_id = p.user_id AND b.blocked = k.sender
				WHERE c.kind = 'direct' AND p.app = $2 AND p.conversation = k.conversation AND p.user_id <> k.sender),
			EXISTS (SELECT 1 FROM im_members p JOIN im_friends f ON f.app = p.app AND f.user_id = p.user_id AND f.friend = k.sender
				WHERE c.kind = 'direct' AND f.state = 'friends' AND p.app = $2 AND p.conversation = k.conversation AND p.user_id <> k.sender)
		FROM k JOIN im_conversations c ON c.app = $2 AND c.id = k.conversation
		LEFT JOIN im_members me ON me.app = $2 AND me.conversation = k.conversation AND me.user_id = k.sender`

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
		RETURNING id, head, members, roster`

	insertMessages = `
		WITH k AS MATERIALIZED (SELECT value FROM json_each($1))
		INSERT INTO im_messages (app, conversation, seq, sender, client_id, kind, body, reply_to, mentions, target, at)
		SELECT $2, value->>0, CAST(value->>1 AS BIGINT), value->>2, value->>3, value->>4, value->>5,
			CAST(value->>6 AS BIGINT), value->>7, CAST(value->>8 AS BIGINT), CAST(value->>9 AS BIGINT) FROM k`

	recall = `UPDATE im_messages SET body = '{}', recalled = 1 WHERE app = $1 AND conversation = $2 AND seq = $3`
	edit   = `UPDATE im_messages SET body = $4, edited_at = $5 WHERE app = $1 AND conversation = $2 AND seq = $3`

	// A list of conversations. The order of the join is said, because SQLite
	// would begin with all members of the app.
	findHearers = `
		WITH k AS MATERIALIZED (SELECT value AS id FROM json_each_text($1))
		SELECT m.conversation, m.user_id FROM k CROSS JOIN im_members m
		WHERE m.app = $2 AND m.conversation = k.id AND m.gone = 0`

	// A list of users. Sorted, so that two processes take their locks in one
	// order.
	bumpUsers = `
		INSERT INTO im_users (app, user_id, seq) SELECT DISTINCT $2, value, 1 FROM json_each_text($1) WHERE true ORDER BY value
		ON CONFLICT (app, user_id) DO UPDATE SET seq = im_users.seq + 1`

	// Triples of conversation, user and when to ring.
	moveMembers = `
		WITH k AS MATERIALIZED (SELECT value->>0 AS id, value->>1 AS who, CAST(value->>2 AS BIGINT) AS due FROM json_each($1))
		UPDATE im_members AS m SET
			version = (SELECT u.seq FROM im_users u WHERE u.app = m.app AND u.user_id = m.user_id),
			ring_due = CASE WHEN m.silent = 0 AND (m.ring_due = 0 OR m.ring_due > k.due) AND m.role <> 'asking' THEN k.due ELSE m.ring_due END
		FROM k WHERE m.app = $2 AND m.conversation = k.id AND m.user_id = k.who`

	// Triples of conversation, user or "*", and when to ring.
	ringMentioned = `
		WITH k AS MATERIALIZED (SELECT value->>0 AS id, value->>1 AS who, CAST(value->>2 AS BIGINT) AS due FROM json_each($1))
		UPDATE im_members AS m SET ring_due = k.due
		FROM k
		WHERE m.app = $2 AND m.conversation = k.id AND (k.who = '*' OR m.user_id = k.who) AND m.gone = 0 AND (m.ring_due = 0 OR m.ring_due > k.due)`

	// Triples of conversation, user and the number of the user's own last
	// message: who speaks has read. Nobody is rung for their own words.
	advanceSpeakers = `
		WITH k AS MATERIALIZED (SELECT value->>0 AS id, value->>1 AS who, CAST(value->>2 AS BIGINT) AS seq FROM json_each($1))
		UPDATE im_members AS m SET
			received = CASE WHEN k.seq > m.received THEN k.seq ELSE m.received END,
			read = CASE WHEN k.seq > m.read THEN k.seq ELSE m.read END,
			ring_due = CASE WHEN k.seq = (SELECT c.head FROM im_conversations c WHERE c.app = m.app AND c.id = m.conversation) THEN 0 ELSE m.ring_due END
		FROM k WHERE m.app = $2 AND m.conversation = k.id AND m.user_id = k.who`
)

// learned are the statements that every transaction of messages runs.
var learned = []string{findByClient, readFacts, raiseHeads, insertMessages, findHearers, bumpUsers, moveMembers, advanceSpeakers}
