package peers

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/durationpb"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

// transit is how long a call is on its way in a bubble.
const transit = time.Millisecond

// owner is another node.
type owner struct {
	tenantryv1connect.UnimplementedPeerServiceHandler
	*rpctest.Host
	peer   shard.Peer
	handle http.Handler // of all others but this, if it is set

	mu     sync.Mutex
	answer func(ctx context.Context, req *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult // of each read
	calls  []call
}

// call is one call of Get.
type call struct {
	*tenantryv1.PeerServiceGetRequest
	header http.Header
	left   time.Duration // until its deadline; 0: none
}

// answers has the owner answer each read of a call.
func (o *owner) answers(f func(context.Context, *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = f
}

// always has the owner answer always the same.
func (o *owner) always(r *tenantryv1.PeerResult) {
	o.answers(func(context.Context, *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult { return r })
}

func (o *owner) Get(ctx context.Context, req *tenantryv1.PeerServiceGetRequest) (*tenantryv1.PeerServiceGetResponse, error) {
	c := call{PeerServiceGetRequest: req}
	if info, ok := connect.CallInfoForHandlerContext(ctx); ok {
		c.header = info.RequestHeader()
	}
	if at, ok := ctx.Deadline(); ok {
		c.left = time.Until(at)
	}
	o.mu.Lock()
	o.calls = append(o.calls, c)
	answer := o.answer
	o.mu.Unlock()
	res := &tenantryv1.PeerServiceGetResponse{Node: o.peer.Name, Epoch: 7}
	for range req.GetReads() {
		res.Results = append(res.Results, answer(ctx, req))
	}
	return res, ctx.Err()
}

func (o *owner) Activity(context.Context, *tenantryv1.ActivityRequest) (*tenantryv1.ActivityResponse, error) {
	return &tenantryv1.ActivityResponse{}, nil
}

// taken returns the calls of Get so far, in order, and forgets them.
func (o *owner) taken() []call {
	o.mu.Lock()
	defer o.mu.Unlock()
	calls := o.calls
	o.calls = nil
	return calls
}

func (o *owner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, h := tenantryv1connect.NewPeerServiceHandler(o)
	if o.handle != nil {
		h = o.handle
	}
	h.ServeHTTP(w, r)
}

// value is an answer of an owner.
func value(text string) *tenantryv1.PeerResult {
	return &tenantryv1.PeerResult{Owner: true, Result: &tenantryv1.BatchGetResult{Value: []byte(text), Freshness: freshness()}}
}

func freshness() *tenantryv1.Freshness {
	return &tenantryv1.Freshness{State: tenantryv1.Freshness_FRESH, Source: tenantryv1.Freshness_MEMORY, Age: durationpb.New(time.Second)}
}

func failure(code connect.Code) *tenantryv1.PeerResult {
	r := &tenantryv1.BatchGetResult{Error: &tenantryv1.BatchGetError{Code: code.String(), Message: "because"}}
	if code == connect.CodeNotFound {
		r.Freshness = freshness()
	}
	return &tenantryv1.PeerResult{Owner: true, Result: r}
}

func deferred() *tenantryv1.PeerResult { return &tenantryv1.PeerResult{Owner: true, Deferred: true} }

// byOrigin answers from the origin alone, after a while.
func byOrigin(text string, after time.Duration) func(context.Context, *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult {
	return func(ctx context.Context, req *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult {
		if req.GetNoWait() {
			return deferred()
		}
		pause(ctx, after)
		return value(text)
	}
}

// pause waits, in a bubble.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// others are the nodes o1, o2, …, each of which answers with its name, and what asks
// them.
type others struct {
	*Peers
	t        *testing.T
	network  *rpctest.Network
	nodes    []*owner
	peers    []shard.Peer
	registry *prometheus.Registry
	stop     func() // ends Run, and waits for that
}

// inBubble runs a test with n owners.
func inBubble(t *testing.T, n int, test func(t *testing.T, o *others)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := gather(t, n, func(*Config) {})
		test(t, o)
		o.stop()
	})
}

func gather(t *testing.T, n int, change func(*Config)) *others {
	o := &others{t: t, network: new(rpctest.Network), registry: prometheus.NewRegistry()}
	for i := range n {
		name := fmt.Sprintf("o%d", i+1)
		node := &owner{peer: shard.Peer{ID: "id-" + name, Name: name, URL: "http://" + name, Token: "token-" + name}}
		node.always(value(name))
		node.Host = o.network.Serve(name, node)
		node.Work(transit)
		o.nodes, o.peers = append(o.nodes, node), append(o.peers, node.peer)
	}
	cfg := Config{Self: "self", Epoch: func() uint64 { return 5 }, Transport: o.network, Registerer: o.registry}
	change(&cfg)
	o.Peers = New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return o
}

func read() *tenantryv1.PeerRead { return &tenantryv1.PeerRead{Tenant: "acme", Kind: "role", Key: "a"} }

// get asks for a read of which only its answer matters: the value, the error's code,
// or "none".
func (o *others) get(ctx context.Context) string {
	a, err := o.Get(ctx, o.peers, read())
	return said(a, err)
}

func said(a Answer, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case a.Result.GetError() != nil:
		return a.Result.GetError().GetCode() + " of " + a.Node
	}
	return string(a.Result.GetValue())
}

// want asks for a read, and says if it is not answered as it should be, in time.
func (o *others) want(answer string, within time.Duration) {
	o.t.Helper()
	start := time.Now()
	got := o.get(o.t.Context())
	if took := time.Since(start); got != answer || took > within {
		o.t.Errorf("got %q after %v, want %q within %v", got, took, answer, within)
	}
}

// warm reads until the time of answers is known, and reads may be hedged.
func (o *others) warm() {
	o.t.Helper()
	for range 100 {
		o.want("o1", 2*transit)
	}
}

// echo answers each read with its key.
type echo struct{ *owner }

func (e echo) handler() http.Handler {
	_, h := tenantryv1connect.NewPeerServiceHandler(e)
	return h
}

func (e echo) Get(_ context.Context, req *tenantryv1.PeerServiceGetRequest) (*tenantryv1.PeerServiceGetResponse, error) {
	res := &tenantryv1.PeerServiceGetResponse{}
	for _, r := range req.GetReads() {
		res.Results = append(res.Results, value(r.GetKey()))
	}
	return res, nil
}
