package node

import (
	"context"
	"slices"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cache/origin"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/shard"
)

// passer passes on what the origin has of on-demand kinds.
type passer struct {
	origin *origin.Reader
	cache  *cache.Cache // counts
	kinds  map[string]*cache.Kind
	names  []string // of all kinds, sorted
}

func newPasser(r *origin.Reader, c *cache.Cache, all []*cache.Kind) *passer {
	p := &passer{origin: r, cache: c, kinds: make(map[string]*cache.Kind)}
	for _, k := range all {
		p.names = append(p.names, k.Name)
		if k.Class == cache.OnDemand {
			p.kinds[k.Name] = k
		}
	}
	slices.Sort(p.names)
	return p
}

// Pass implements [rpc.Passer].
func (p *passer) Pass(ctx context.Context, tenant, kind string, segments []string, rawQuery string) (*rpc.Passed, error) {
	k, ok := p.kinds[kind]
	if !ok {
		return nil, &shard.UnknownKindError{Kind: kind, Known: p.names}
	}
	answer, err := p.origin.Pass(ctx, tenant, k, segments, rawQuery)
	p.cache.CountPass(k, err)
	if err != nil {
		return nil, err
	}
	return &rpc.Passed{Status: answer.Status, Header: answer.Header, Body: answer.Body}, nil
}
