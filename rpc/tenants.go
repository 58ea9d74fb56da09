package rpc

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/shard"
)

// Sizes of a page of tenants.
const (
	defaultPage = 100
	maxPage     = 1000
)

// ListTenants returns a page of the active tenants, of one node or of all. A tenant
// is there once for each node that has it, in the order of their names.
func (s *clusterService) ListTenants(ctx context.Context, req *tenantryv1.ListTenantsRequest) (*tenantryv1.ListTenantsResponse, error) {
	at, err := s.validateList(req)
	if err != nil {
		return nil, err
	}
	caller, err := allowScope(ctx, ScopeOperate)
	if err != nil {
		return nil, err
	}
	l := &listing{
		clusterService: s, request: req, caller: caller, at: at, size: cmp.Or(int(req.GetPageSize()), defaultPage),
		here: true, others: s.others(ctx, s.node.Peers),
	}
	if name := req.GetNode(); name != "" {
		l.here = name == s.name
		l.others = slices.DeleteFunc(slices.Clone(l.others), func(p shard.Peer) bool { return p.Name != name })
		if !l.here && len(l.others) == 0 {
			return nil, &memberError{}
		}
	}
	return l.page(ctx)
}

// listing is one page in work.
type listing struct {
	*clusterService
	request *tenantryv1.ListTenantsRequest
	caller  *Caller
	at      place // after which the page begins
	size    int
	here    bool // this node's tenants are asked for
	others  []shard.Peer
}

// share is what one node has: all up to a place, or all there is.
type share struct {
	tenants []*tenantryv1.TenantSummary
	more    bool
	upTo    place // if there is more
}

// page returns the page. One that has nothing for this caller is not shown, as there
// may be more after it.
func (l *listing) page(ctx context.Context) (*tenantryv1.ListTenantsResponse, error) {
	for {
		shares, err := l.shares(ctx)
		if err != nil {
			return nil, err
		}
		all := l.merge(shares)
		if len(all.tenants) == 0 && all.more {
			l.at = all.upTo
			continue
		}
		res := &tenantryv1.ListTenantsResponse{Tenants: all.tenants}
		if all.more {
			res.NextPageToken = all.upTo.token()
		}
		return res, nil
	}
}

// shares asks every node for its part of the page.
func (l *listing) shares(ctx context.Context) ([]share, error) {
	size := l.size
	if !l.caller.AllTenants {
		size = maxPage // of which others do not know what is for this caller
	}
	req := &tenantryv1.ListTenantsRequest{PageSize: uint32(size), Prefix: l.request.GetPrefix(), PageToken: l.at.token()}
	answers, errs := askAll(ctx, l.clusterService, l.others, tenantryv1connect.ClusterServiceClient.ListTenants,
		func(shard.Peer) *tenantryv1.ListTenantsRequest { return req })
	var shares []share
	if l.here {
		shares = append(shares, l.own())
	}
	for i, res := range answers {
		one := share{tenants: res.GetTenants(), more: res.GetNextPageToken() != ""}
		err := errs[i]
		if err == nil && one.more {
			var problem error
			if one.upTo, problem = placeOf(res.GetNextPageToken()); problem != nil || one.upTo.compare(l.at) <= 0 {
				err = errPage
			}
		}
		if err != nil {
			return nil, unreachable(ctx, l.others[i].Name, err)
		}
		shares = append(shares, one)
	}
	return shares, nil
}

var errPage = errors.New("its page ends nowhere, or before it begins")

// own is this node's share.
func (l *listing) own() (one share) {
	summaries, next := l.node.List(l.at.after(l.name), l.request.GetPrefix(), l.size, l.caller.may)
	for i := range summaries {
		one.tenants = append(one.tenants, l.summaryMessage(&summaries[i]))
	}
	one.more, one.upTo = next != "", place{next, l.name}
	return one
}

// merge makes one share of several: what is up to the first place after which some
// node may have more.
func (l *listing) merge(shares []share) (all share) {
	for _, one := range shares {
		all.tenants = append(all.tenants, one.tenants...)
		if one.more && (!all.more || one.upTo.compare(all.upTo) < 0) {
			all.more, all.upTo = true, one.upTo
		}
	}
	all.tenants = slices.DeleteFunc(all.tenants, func(t *tenantryv1.TenantSummary) bool {
		return !l.caller.may(t.GetTenant()) || all.more && placeIn(t).compare(all.upTo) > 0
	})
	slices.SortFunc(all.tenants, func(a, b *tenantryv1.TenantSummary) int { return placeIn(a).compare(placeIn(b)) })
	if len(all.tenants) > l.size {
		all.tenants = all.tenants[:l.size]
		all.more, all.upTo = true, placeIn(all.tenants[l.size-1])
	}
	return all
}

func placeIn(t *tenantryv1.TenantSummary) place { return place{t.GetTenant(), t.GetNode()} }

func (s *clusterService) validateList(req *tenantryv1.ListTenantsRequest) (place, error) {
	if req.GetPageSize() > maxPage {
		return place{}, &fieldError{"page_size", "more than 1000"}
	}
	if req.GetPrefix() != "" {
		if problem := nameProblem(req.GetPrefix()); problem != "" {
			return place{}, &fieldError{"prefix", problem}
		}
	}
	return placeOf(req.GetPageToken())
}

func (s *clusterService) summaryMessage(t *shard.Summary) *tenantryv1.TenantSummary {
	return &tenantryv1.TenantSummary{
		Tenant: t.Name, Node: s.name, State: tenantState(t.State), Entries: uint64(t.Entries), Bytes: uint64(t.Bytes),
		Idle: durationpb.New(t.Idle), Primary: s.owners(t.Name).names[0] == s.name,
	}
}

// tenantState is the state as messages have it: one higher.
func tenantState(s shard.State) tenantryv1.TenantState { return tenantryv1.TenantState(s) + 1 }
