package redisstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by their SHA-1
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

//go:embed accept.lua
var acceptLua string

//go:embed make.lua
var makeLua string

//go:embed claim.lua
var claimLua string

//go:embed cell.lua
var cellLua string

//go:embed find.lua
var findLua string

//go:embed settle.lua
var settleLua string

//go:embed raise.lua
var raiseLua string

//go:embed inbox.lua
var inboxLua string

// script is a Lua program that Redis keeps under its hash.
type script struct{ text, sha string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // as above
	return script{text: text, sha: hex.EncodeToString(sum[:])}
}

// scripts are all programs of this package.
type scripts struct{ accept, make, claim, settle, raise, inbox script }

func newScripts() scripts {
	return scripts{
		accept: newScript(acceptLua),
		make:   newScript(makeLua),
		claim:  newScript(claimLua),
		settle: newScript(cellLua + settleLua),
		raise:  newScript(cellLua + findLua + raiseLua),
		inbox:  newScript(inboxLua),
	}
}

// call is one run of a script on one key.
type call struct {
	script script
	key    string
	args   []any
}

// perPipeline is how many calls go out together: Redis does them in one go, and
// others wait that long.
const perPipeline = 64

// run makes all calls, in one round trip for each [perPipeline]. A Redis that was restarted has
// forgotten its scripts: they are loaded, and the calls that missed them made
// again. The error is that of the connection; each Cmd has its own.
func run(ctx context.Context, rdb redis.UniversalClient, calls []call) ([]*redis.Cmd, error) {
	cmds := make([]*redis.Cmd, len(calls))
	todo := make([]int, len(calls))
	for i := range calls {
		todo[i] = i
	}
	for again := false; ; again = true {
		for part := range slices.Chunk(todo, perPipeline) {
			pipe := rdb.Pipeline()
			for _, i := range part {
				c := calls[i]
				if again {
					cmds[i] = pipe.Eval(ctx, c.script.text, []string{c.key}, c.args...)
				} else {
					cmds[i] = pipe.EvalSha(ctx, c.script.sha, []string{c.key}, c.args...)
				}
			}
			_, _ = pipe.Exec(ctx) // each command is asked for its own error
		}
		var missing []int
		for _, i := range todo {
			err := cmds[i].Err()
			switch {
			case err == nil || errors.Is(err, redis.Nil):
			case redis.HasErrorPrefix(err, "NOSCRIPT") && !again:
				missing = append(missing, i)
			default:
				return nil, fmt.Errorf("redisstore: run script: %w", away(err))
			}
		}
		if len(missing) == 0 {
			return cmds, nil
		}
		todo = missing
	}
}

// away marks an error of the connection as [push.ErrAway]; the end of the
// caller's own patience stays what it is.
func away(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, push.ErrAway) {
		return err
	}
	return fmt.Errorf("%w: %w", push.ErrAway, err)
}
