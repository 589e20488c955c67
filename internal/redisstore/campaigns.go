package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// campaignLife is how long a campaign stays in the list, and mostCampaigns
	// how many of an app's newest.
	campaignLife  = 30 * 24 * time.Hour
	mostCampaigns = 10_000
)

// Campaigns lists notifications that people look for by name, which are few
// beside those that apps send to single devices all day.
type Campaigns struct{ rdb redis.UniversalClient }

// NewCampaigns keeps the list in rdb.
func NewCampaigns(rdb redis.UniversalClient) *Campaigns { return &Campaigns{rdb} }

// Noted is a notification with the time of its acceptance.
type Noted struct {
	App, ID string
	At      time.Time
}

// Note adds to the lists, in one round trip.
func (c *Campaigns) Note(ctx context.Context, all []Noted) error {
	pipe := c.rdb.Pipeline()
	for _, n := range all {
		key := campaignsKey(n.App)
		pipe.ZAdd(ctx, key, redis.Z{Score: float64(n.At.UnixMilli()), Member: n.ID})
		pipe.ZRemRangeByRank(ctx, key, 0, -mostCampaigns-1)
		pipe.Expire(ctx, key, campaignLife)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redisstore: note %d campaigns: %w", len(all), away(err))
	}
	return nil
}

// List returns an app's campaigns accepted in [since, until], the newest first.
func (c *Campaigns) List(ctx context.Context, app string, since, until time.Time, limit int) ([]Noted, error) {
	found, err := c.rdb.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{
		Key: campaignsKey(app), ByScore: true, Rev: true, Count: int64(limit),
		Start: strconv.FormatInt(until.UnixMilli(), 10), Stop: strconv.FormatInt(since.UnixMilli(), 10),
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("redisstore: list campaigns: %w", away(err))
	}
	all := make([]Noted, len(found))
	for i, z := range found {
		id, _ := z.Member.(string)
		all[i] = Noted{App: app, ID: id, At: time.UnixMilli(int64(z.Score)).UTC()}
	}
	return all, nil
}
