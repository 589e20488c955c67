package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// ownerLife is how long it is remembered whose a device is. It is far longer
// than a device is, for all of them may come back at once, and then the source
// is not to be asked.
const ownerLife = 7 * 24 * time.Hour

// mine begins what is remembered, for "" says that the device is being changed.
const mine = "u"

// Owner tells whose device it is; "" for nobody's. A Redis that is away makes it
// slow, not wrong.
func (d *Devices) Owner(ctx context.Context, app, device string) (string, error) {
	key := ownerKey(app, device)
	known, err := ownerScript.Run(ctx, d.rdb, []string{key}, ownerLife.Milliseconds()).Text()
	if err == nil && len(known) >= len(mine) {
		return known[len(mine):], nil
	}
	found, err := d.source.Devices(ctx, app, []string{device})
	if err != nil {
		return "", fmt.Errorf("redisstore: owner of a device: %w", err)
	}
	user := ""
	if found[0] != nil {
		user = found[0].User
	}
	_ = d.rdb.SetNX(ctx, key, mine+user, ownerLife).Err() // the next who asks offers it again
	return user, nil
}

// ownerScript reads an owner and lets it be remembered on.
//
// KEYS[1] the device's owner
// ARGV    how long from now (ms)
// RETURNS the value, "" if there is none or the device is being changed
var ownerScript = redis.NewScript(`
local v = redis.call('GET', KEYS[1])
if v and v ~= '' then
	redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return v or ''`)
