package peers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/shard"
)

// stall is how long a node may send nothing of what it hands over.
const stall = 2 * time.Second

var (
	errStalled = errors.New("the node sent nothing for too long")
	errBroken  = errors.New("the node ended without saying that this is all")
)

// States tells a node of tenants that are held here and owned there, and returns
// where they are in their life there. A node of a version that cannot be asked is
// told, and taken for live: it reads the origin until it is.
func (p *Peers) States(ctx context.Context, to shard.Peer, tenants []shard.Activity) ([]shard.State, error) {
	req := &tenantryv1.TenantStatesRequest{Node: p.cfg.Self, Activate: true}
	for _, t := range tenants {
		req.Tenants, req.Idle = append(req.Tenants, t.Tenant), append(req.Idle, durationpb.New(t.Idle))
		req.NothingMore, req.InDoubt = append(req.NothingMore, t.NothingMore), append(req.InDoubt, t.InDoubt)
	}
	res, err := p.lane(&to).client.TenantStates(ctx, req)
	if connect.CodeOf(err) == connect.CodeUnimplemented {
		return allLive(len(tenants)), p.Activity(ctx, to, tenants)
	}
	if err != nil {
		return nil, err
	}
	states := make([]shard.State, len(res.GetStates()))
	for i, s := range res.GetStates() {
		if s >= tenantryv1.TenantState_TENANT_STATE_COLD && s <= tenantryv1.TenantState_TENANT_STATE_DRAINING {
			states[i] = shard.State(s - tenantryv1.TenantState_TENANT_STATE_COLD)
		}
	}
	return states, nil
}

func allLive(n int) []shard.State {
	states := make([]shard.State, n)
	for i := range states {
		states[i] = shard.Live
	}
	return states
}

// Tenants gives all tenants that are active on a node, page by page.
func (p *Peers) Tenants(ctx context.Context, of shard.Peer, page func([]shard.Activity)) error {
	l := p.lane(&of)
	ctx, alive, stop := watched(ctx)
	defer stop()
	stream, err := l.client.Tenants(ctx, &tenantryv1.TenantsRequest{Node: p.cfg.Self})
	if err != nil {
		return l.cause(ctx, err)
	}
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		alive()
		some := make([]shard.Activity, 0, len(stream.Msg().GetTenants()))
		for _, t := range stream.Msg().GetTenants() {
			some = append(some, shard.Activity{Tenant: t.GetTenant(), Idle: max(0, t.GetIdle().AsDuration())})
		}
		page(some)
	}
	return l.cause(ctx, stream.Err())
}

// watched returns a context that ends unless alive is called every now and then.
func watched(ctx context.Context) (_ context.Context, alive, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(stall, func() { cancel(errStalled) })
	return ctx, func() { timer.Reset(stall) }, func() { timer.Stop(); cancel(nil) }
}

// cause says that the node stalled rather than that its stream was canceled. It is not
// asked for other streams, then, until it answers a ping.
func (l *lane) cause(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		l.failed(errStalled)
		return errStalled
	}
	return err
}

// Export asks a node for what it holds of a tenant, and gives each page to keep. A
// node that is not live for it is [shard.ErrNotHeld], and one whose fence proves too
// little is [shard.ErrUnproven], at the end.
func (p *Peers) Export(ctx context.Context, from shard.Peer, tenant string, kinds []*cache.Kind, keep func(*cache.Kind, []cache.Handed) error) (cache.End, error) {
	l := p.lane(&from)
	if !l.health.up() {
		return cache.End{}, errDown
	}
	ctx, alive, stop := watched(ctx)
	defer stop()
	req := &tenantryv1.ExportRequest{Node: p.cfg.Self, Tenant: tenant}
	i := &importing{kinds: make(map[string]*cache.Kind), keep: keep}
	for _, k := range kinds {
		req.Kinds = append(req.Kinds, &tenantryv1.KindDefinition{Name: k.Name, DefinitionHash: k.Definition})
		i.kinds[k.Name] = k
	}
	stream, err := l.client.Export(ctx, req)
	if err != nil {
		return cache.End{}, heldError(l.cause(ctx, err))
	}
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		alive()
		if err := i.take(stream.Msg()); err != nil {
			return cache.End{}, err
		}
	}
	if err := l.cause(ctx, stream.Err()); err != nil && !i.ended {
		return cache.End{}, heldError(err)
	}
	return i.result()
}

// heldError knows the answers of a node that hands nothing over: it is not live for the
// tenant, or of a version that cannot.
func heldError(err error) error {
	switch connect.CodeOf(err) {
	case connect.CodeFailedPrecondition, connect.CodeUnimplemented:
		return shard.ErrNotHeld
	}
	return err
}

// importing is one export as it is received.
type importing struct {
	kinds      map[string]*cache.Kind
	keep       func(*cache.Kind, []cache.Handed) error
	begun      bool
	revalidate bool // the exporter's fence proves too little
	ended      bool
	end        cache.End
}

func (i *importing) take(m *tenantryv1.ExportResponse) error {
	if i.ended {
		return errBroken
	}
	switch part := m.GetPart().(type) {
	case *tenantryv1.ExportResponse_Start_:
		i.begun, i.revalidate = true, part.Start.GetRevalidate()
		for _, k := range part.Start.GetKinds() {
			if kind := i.kinds[k.GetName()]; kind != nil {
				i.end.Kinds = append(i.end.Kinds, kind)
			}
		}
		return nil
	case *tenantryv1.ExportResponse_Page_:
		return i.page(part.Page)
	case *tenantryv1.ExportResponse_End_:
		return i.finish(part.End)
	}
	return errBroken // a part that this version does not know
}

func (i *importing) page(m *tenantryv1.ExportResponse_Page) error {
	k := i.kinds[m.GetKind()]
	if !i.begun || k == nil {
		return fmt.Errorf("a page of %.64q: %w", m.GetKind(), errEntry)
	}
	page := make([]cache.Handed, len(m.GetEntries()))
	for n, e := range m.GetEntries() {
		var err error
		if page[n], err = handedOf(e); err != nil {
			return err
		}
	}
	return i.keep(k, page)
}

func (i *importing) finish(m *tenantryv1.ExportResponse_End) error {
	i.ended = true
	if i.end.Undoubted = i.begun && m.GetUndoubted() && !i.revalidate; !i.end.Undoubted {
		return nil
	}
	for _, c := range m.GetComplete() {
		k, age := i.kinds[c.GetKind()], c.GetAge().AsDuration()
		if k == nil || !isTime(age) {
			return errEntry
		}
		i.end.Whole = append(i.end.Whole, cache.Whole{Kind: k, Age: age})
	}
	return nil
}

func (i *importing) result() (cache.End, error) {
	switch {
	case !i.ended:
		return cache.End{}, errBroken
	case i.revalidate:
		return cache.End{}, shard.ErrUnproven
	}
	return i.end, nil
}
