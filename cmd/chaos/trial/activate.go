package trial

import (
	"context"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cmd/chaos/origin"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// activate reads something of every tenant until all are live and nothing is
// being loaded any more.
func (r *run) activate(ctx context.Context) error {
	lists := uint64(0)
	for world.Pause(ctx, time.Second) {
		if err := r.touchAll(ctx); err != nil {
			return err
		}
		m, err := r.world.Metrics(ctx)
		if err != nil {
			return err
		}
		before := lists
		if lists = r.origin.Lists(); lists == before && r.live(m) {
			return nil
		}
	}
	return ctx.Err()
}

// live says that the node holds all tenants and doubts none.
func (r *run) live(m map[string]float64) bool {
	return int(m["tenantry_active_tenants"]) == r.Tenants && m["tenantry_doubtful_tenants"] == 0 &&
		r.origin.Lists() >= uint64(r.Tenants*r.criticalKinds())
}

// touching is how many tenants are touched at the same time.
const touching = 16

// touchAll reads something of every tenant. The node takes up only so many a
// second, and reads through for the others.
func (r *run) touchAll(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: touching}}
	defer client.CloseIdleConnections()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(touching)
	for t := range r.Tenants {
		g.Go(func() error { return r.touch(ctx, client, origin.Tenant(t)) })
	}
	return g.Wait()
}

func (r *run) touch(ctx context.Context, client *http.Client, tenant string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.world.Nodes()[0].URL+"/v1/tenants/"+tenant+"/entries/credit-config/k0", nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16)) // so that the connection is used again
	return res.Body.Close()
}
