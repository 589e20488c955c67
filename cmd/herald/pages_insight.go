package main

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/web"
)

// Roads implements [web.Numbers].
func (n numbers) Roads(ctx context.Context, l web.Lens) (web.Roads, error) {
	if n.record == nil {
		return web.Roads{}, web.ErrAway
	}
	lens := lensOf(l)
	var (
		group, all []analytics.ProviderRow
		kinds      []analytics.KindPoint
		heat       []analytics.HeatCell
	)
	asks, ctx := errgroup.WithContext(ctx)
	asks.Go(func() (err error) { group, err = n.record.ProvidersSeen(ctx, lens); return err })
	asks.Go(func() (err error) { kinds, err = n.record.Kinds(ctx, lens, l.Step); return err })
	asks.Go(func() (err error) { heat, err = n.record.Heat(ctx, lens, l.Step); return err })
	if everybody := lens; lens.Platform != "" || lens.Maker != "" || lens.Country != "" {
		everybody.Platform, everybody.Maker, everybody.Country = "", "", ""
		asks.Go(func() (err error) { all, err = n.record.ProvidersSeen(ctx, everybody); return err })
	}
	if err := asks.Wait(); err != nil {
		return web.Roads{}, pageError(err)
	}
	r := web.Roads{Providers: providerRows(group), Everybody: providerRows(all)}
	for _, k := range kinds {
		r.Kinds = append(r.Kinds, web.KindPoint{At: k.Start, Kind: k.Kind, N: k.Receipts})
	}
	for _, c := range heat {
		r.Heat = append(r.Heat, web.HeatCell{At: c.Start, Bucket: int(c.Bucket), N: c.Proofs})
	}
	return r, nil
}
