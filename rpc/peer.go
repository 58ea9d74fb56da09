package rpc

import (
	"context"
	"strconv"
	"time"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/shard"
)

const (
	// maxPeerReads is how many reads a node may ask for at once.
	maxPeerReads = 1000
	// maxPeerBytes bounds the values of one answer together, so that it comes soon
	// enough for whoever takes a late one for none. The reads beyond it are
	// deferred, each to a call of its own.
	maxPeerBytes = 4 << 20
)

// peerService answers other nodes, and nobody else. What they ask is answered here,
// and not forwarded (C8).
type peerService struct {
	tenantryv1connect.UnimplementedPeerServiceHandler
	*reader
}

// answering is one Get in work. Results and freshness are each one allocation.
type answering struct {
	*reader
	request *tenantryv1.PeerServiceGetRequest
	now     time.Time
	peers   []tenantryv1.PeerResult
	results []tenantryv1.BatchGetResult
	fresh   []freshness
}

func (s *peerService) Get(ctx context.Context, req *tenantryv1.PeerServiceGetRequest) (*tenantryv1.PeerServiceGetResponse, error) {
	n := len(req.GetReads())
	if n > maxPeerReads {
		return nil, &fieldError{"reads", "more than " + strconv.Itoa(maxPeerReads)}
	}
	a := &answering{
		reader: s.reader, request: req, now: time.Now(), peers: make([]tenantryv1.PeerResult, n),
		results: make([]tenantryv1.BatchGetResult, n), fresh: make([]freshness, n),
	}
	if req.GetNoWait() {
		for i := range n {
			a.answer(ctx, i)
		}
	} else {
		spread(n, func(i int) { a.answer(ctx, i) })
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return a.response(), nil
}

// answer fills result i.
func (a *answering) answer(ctx context.Context, i int) {
	p := &a.peers[i]
	defer a.caught(func(err error) { a.fail(i, err) })
	read := a.request.GetReads()[i]
	e := entry{read.GetTenant(), read.GetKind(), read.GetKey()}
	p.Owner = a.node.Owns(e.tenant)
	f, deferred, err := a.find(ctx, e, read)
	switch {
	case deferred:
		p.Deferred = true
		return
	case err == nil:
		err = a.fill(&a.results[i], &a.fresh[i], e, &f, a.now)
	}
	if p.Result = &a.results[i]; err != nil {
		a.fail(i, err)
	}
}

// find reads from this node; deferred says that the origin would have to be asked,
// for which the asking node does not want to wait.
func (a *answering) find(ctx context.Context, e entry, read *tenantryv1.PeerRead) (f found, deferred bool, err error) {
	if err := e.validate("key"); err != nil {
		return f, false, err
	}
	l, err := limitsOf(e, read.GetMaxAge(), read.GetMinVersion(), read.GetAfter())
	if err != nil {
		return f, false, err
	}
	if !a.request.GetNoWait() {
		f, err = a.here(ctx, e, &l)
		return f, false, err
	}
	o, err := a.options(e, &l)
	if err != nil {
		return f, false, err
	}
	var ok bool
	f.Answer, ok, err = a.node.Recall(e.tenant, e.kind, e.key, o)
	return f, err == nil && !ok, err
}

func (a *answering) fail(i int, err error) {
	r := &a.results[i]
	a.peers[i].Result, r.Value, r.Error = r, nil, a.report(err).batchError()
}

func (a *answering) response() *tenantryv1.PeerServiceGetResponse {
	results := make([]*tenantryv1.PeerResult, len(a.peers))
	bytes := 0
	for i := range a.peers {
		results[i] = &a.peers[i]
		n := len(a.results[i].Value)
		if bytes += n; bytes > maxPeerBytes && bytes > n {
			bytes -= n
			a.postpone(i)
		}
	}
	return &tenantryv1.PeerServiceGetResponse{Results: results, Node: a.name, Epoch: a.epoch()}
}

// postpone takes back result i, for which there is no room.
func (a *answering) postpone(i int) {
	if a.request.GetNoWait() {
		a.peers[i].Result, a.peers[i].Deferred = nil, true
		return
	}
	a.results[i].Freshness = nil
	a.fail(i, &limitError{"4 MiB of values in an answer to a node"})
}

// Activity takes another owner's word of which tenants are active.
func (s *peerService) Activity(_ context.Context, req *tenantryv1.ActivityRequest) (*tenantryv1.ActivityResponse, error) {
	if len(req.GetTenants()) > shard.MaxActivities {
		return nil, &fieldError{"tenants", "more than " + strconv.Itoa(shard.MaxActivities)}
	}
	heard := make([]shard.Activity, 0, len(req.GetTenants()))
	for _, t := range req.GetTenants() {
		if err := validateTenant("tenants", t.GetTenant()); err != nil {
			return nil, err
		}
		heard = append(heard, shard.Activity{Tenant: t.GetTenant(), Idle: max(0, t.GetIdle().AsDuration())})
	}
	s.node.Hear(heard)
	return &tenantryv1.ActivityResponse{}, nil
}
