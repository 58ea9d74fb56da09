package node

import (
	"context"
	"maps"
	"slices"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cache/origin"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/shard"
)

// passer passes on what the origin has of on-demand kinds.
type passer struct {
	origin *origin.Reader
	kinds  map[string]*cache.Kind
}

func newPasser(r *origin.Reader, all []*cache.Kind) *passer {
	p := &passer{origin: r, kinds: make(map[string]*cache.Kind)}
	for _, k := range all {
		if k.Class == cache.OnDemand {
			p.kinds[k.Name] = k
		}
	}
	return p
}

// Pass implements [rpc.Passer].
func (p *passer) Pass(ctx context.Context, tenant, kind string, segments []string, rawQuery string) (*rpc.Passed, error) {
	k, ok := p.kinds[kind]
	if !ok {
		return nil, &shard.UnknownKindError{Kind: kind, Known: slices.Sorted(maps.Keys(p.kinds))}
	}
	answer, err := p.origin.Pass(ctx, tenant, k, segments, rawQuery)
	if err != nil {
		return nil, err
	}
	return &rpc.Passed{Status: answer.Status, Header: answer.Header, Body: answer.Body}, nil
}
