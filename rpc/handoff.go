package rpc

import (
	"cmp"
	"context"
	"strconv"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc/peers"
	"github.com/tenantry/tenantry/shard"
)

// The size of a page of an export in bytes: what is usual, and the most. It bounds
// what either side has of it in memory.
const (
	usualExportPage = 256 << 10
	maxExportPage   = 1 << 20
)

// Export hands a tenant over to the node that asks.
func (s *peerService) Export(ctx context.Context, req *tenantryv1.ExportRequest, stream *connect.ServerStream[tenantryv1.ExportResponse]) error {
	if err := validateTenant("tenant", req.GetTenant()); err != nil {
		return err
	}
	size := int(req.GetPageBytes())
	if size == 0 || size > maxExportPage {
		size = usualExportPage
	}
	wanted := make([]shard.Definition, len(req.GetKinds()))
	for i, k := range req.GetKinds() {
		wanted[i] = shard.Definition{Kind: k.GetName(), Hash: k.GetDefinitionHash()}
	}
	end, err := s.node.Export(ctx, req.GetTenant(), wanted, size, exporting{s.name, stream})
	if err != nil {
		return err
	}
	return stream.Send(&tenantryv1.ExportResponse{Part: &tenantryv1.ExportResponse_End_{End: endOf(&end)}})
}

// exporting sends an export.
type exporting struct {
	node   string
	stream *connect.ServerStream[tenantryv1.ExportResponse]
}

// Begin implements [shard.Receiver].
func (e exporting) Begin(kinds []*cache.Kind, proven bool) error {
	start := &tenantryv1.ExportResponse_Start{Node: e.node, Revalidate: !proven}
	for _, k := range kinds {
		start.Kinds = append(start.Kinds, &tenantryv1.KindDefinition{Name: k.Name, DefinitionHash: k.Definition})
	}
	return e.stream.Send(&tenantryv1.ExportResponse{Part: &tenantryv1.ExportResponse_Start_{Start: start}})
}

// Page implements [shard.Receiver].
func (e exporting) Page(kind *cache.Kind, entries []cache.Handed) error {
	page := &tenantryv1.ExportResponse_Page{Kind: kind.Name, Entries: make([]*tenantryv1.Entry, len(entries))}
	for i := range entries {
		page.Entries[i] = peers.EntryOf(&entries[i])
	}
	return e.stream.Send(&tenantryv1.ExportResponse{Part: &tenantryv1.ExportResponse_Page_{Page: page}})
}

func endOf(end *cache.End) *tenantryv1.ExportResponse_End {
	m := &tenantryv1.ExportResponse_End{Undoubted: end.Undoubted}
	for _, w := range end.Whole {
		m.Complete = append(m.Complete, &tenantryv1.ExportResponse_Completeness{Kind: w.Kind.Name, Age: durationpb.New(w.Age)})
	}
	return m
}

// Peek answers from what is held here alone.
func (s *peerService) Peek(_ context.Context, req *tenantryv1.PeekRequest) (*tenantryv1.PeekResponse, error) {
	if err := validateTenant("tenant", req.GetTenant()); err != nil {
		return nil, err
	}
	if len(req.GetItems()) > maxPeerReads {
		return nil, &fieldError{"items", "more than " + strconv.Itoa(maxPeerReads)}
	}
	res := &tenantryv1.PeekResponse{Results: make([]*tenantryv1.PeekResult, len(req.GetItems()))}
	bytes := 0
	for i, item := range req.GetItems() {
		res.Results[i] = &tenantryv1.PeekResult{}
		d := shard.Definition{Kind: item.GetKind(), Hash: item.GetDefinitionHash()}
		a, ok := s.node.Peek(req.GetTenant(), d, item.GetKey())
		if bytes += len(a.Value); ok && (i == 0 || bytes <= maxPeerBytes) {
			res.Results[i] = peers.PeekedOf(item.GetKey(), &a)
		}
	}
	return res, nil
}

// Fence returns when what was published before has been applied here.
func (s *peerService) Fence(ctx context.Context, req *tenantryv1.FenceRequest) (*tenantryv1.FenceResponse, error) {
	if err := checkTenants(req.GetTenants()); err != nil {
		return nil, err
	}
	held, err := s.node.Fence(ctx, req.GetTenants())
	return &tenantryv1.FenceResponse{Tenants: held}, err
}

// TenantStates says where tenants are in their life here, and takes over what is owned
// here from a node that asks for that.
func (s *peerService) TenantStates(_ context.Context, req *tenantryv1.TenantStatesRequest) (*tenantryv1.TenantStatesResponse, error) {
	names := req.GetTenants()
	if err := checkTenants(names); err != nil {
		return nil, err
	}
	err := cmp.Or(oneEach("idle", len(req.GetIdle()), names), oneEach("nothing_more", len(req.GetNothingMore()), names),
		oneEach("in_doubt", len(req.GetInDoubt()), names))
	if err != nil {
		return nil, err
	}
	var states []shard.State
	if req.GetActivate() {
		states = s.node.TakeOver(req.GetNode(), heldBy(req))
	} else {
		states = s.node.States(names)
	}
	res := &tenantryv1.TenantStatesResponse{Epoch: s.epoch(), States: make([]tenantryv1.TenantState, len(states))}
	for i, state := range states {
		res.States[i] = tenantState(state)
	}
	return res, nil
}

// heldBy returns the tenants that a node holds, as it tells of them.
func heldBy(req *tenantryv1.TenantStatesRequest) []shard.Activity {
	held := make([]shard.Activity, len(req.GetTenants()))
	for i, name := range req.GetTenants() {
		held[i] = shard.Activity{
			Tenant: name, Idle: max(0, nth(req.GetIdle(), i).AsDuration()),
			NothingMore: nth(req.GetNothingMore(), i), InDoubt: nth(req.GetInDoubt(), i),
		}
	}
	return held
}

// nth returns one of a list that may have been left out.
func nth[T any](list []T, i int) (one T) {
	if len(list) > 0 {
		one = list[i]
	}
	return one
}

// oneEach checks that a list that may be left out has one for each tenant.
func oneEach(field string, n int, names []string) error {
	if n > 0 && n != len(names) {
		return &fieldError{field, "is not one for each tenant"}
	}
	return nil
}

func checkTenants(names []string) error {
	if len(names) > shard.MaxActivities {
		return &fieldError{"tenants", "more than " + strconv.Itoa(shard.MaxActivities)}
	}
	for _, name := range names {
		if err := validateTenant("tenants", name); err != nil {
			return err
		}
	}
	return nil
}

// Tenants lists the tenants that are active here to a node that joins.
func (s *peerService) Tenants(_ context.Context, _ *tenantryv1.TenantsRequest, stream *connect.ServerStream[tenantryv1.TenantsResponse]) error {
	return s.node.Tenants(func(page []shard.Activity) error {
		res := &tenantryv1.TenantsResponse{Tenants: make([]*tenantryv1.TenantActivity, len(page))}
		for i, a := range page {
			res.Tenants[i] = &tenantryv1.TenantActivity{Tenant: a.Tenant, Idle: durationpb.New(a.Idle)}
		}
		return stream.Send(res)
	})
}
