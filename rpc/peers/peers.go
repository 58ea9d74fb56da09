package peers

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/shard"
)

// Config configures [Peers]. Self and Epoch are required.
type Config struct {
	// Self is the name of this node.
	Self string
	// Epoch is that of its ring.
	Epoch func() uint64
	// Secret is what nodes show each other. Default: each is shown its own token.
	Secret string
	// Transport carries the calls. Default: HTTP/1.1 from pools.
	Transport http.RoundTripper
	// Calls is how many calls from memory a node is asked at the same time, at most:
	// the second only if the first is late, and so on. What comes meanwhile shares
	// the next. Default 4.
	Calls int
	// Logger gets what an operator should know. Default: none.
	Logger *slog.Logger
	// Registerer gets the metrics. Default: none.
	Registerer prometheus.Registerer
}

// Peers are the other nodes.
type Peers struct {
	cfg     Config
	http    *http.Client
	memory  http.RoundTripper // of calls from memory
	direct  *direct           // is memory, unless another transport is configured
	metrics *metrics
	budget  budget
	ctx     context.Context //nolint:containedctx // of everything that is started; ends with Run
	end     context.CancelFunc

	mu      sync.Mutex
	lanes   map[string]*lane // by the node's ID
	running sync.WaitGroup
	ended   bool
}

// Defaults.
const (
	defaultCalls = 4
	// idleConns is how many connections are kept for a node: as many as a batch of
	// reads that all need the origin takes.
	idleConns = 256
	// idleTimeout is how long they are: less than a node keeps them.
	idleTimeout = 90 * time.Second
	dialTimeout = 300 * time.Millisecond
	// maxAnswer bounds what a node can make this one read. Values beyond it, which
	// an origin may be allowed to have, are read here.
	maxAnswer = 64 << 20
)

// New returns peers that are asked as soon as they are named.
func New(cfg Config) *Peers {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Calls = cmp.Or(cfg.Calls, defaultCalls)
	p := &Peers{cfg: cfg, metrics: newMetrics(cfg.Registerer), lanes: make(map[string]*lane)}
	p.carry()
	p.ctx, p.end = context.WithCancel(context.Background())
	return p
}

// carry decides what carries the calls.
func (p *Peers) carry() {
	general := p.cfg.Transport
	p.memory = general
	if general == nil {
		general = newTransport()
		p.direct = newDirect()
		p.memory = p.direct
	}
	p.http = client(general)
}

// forgetAfter is how long a node that is not asked is remembered.
const forgetAfter = time.Minute

// Run forgets nodes that are not asked any longer, until ctx ends; then it ends
// every call, and returns when they have.
func (p *Peers) Run(ctx context.Context) error {
	ticker := time.NewTicker(forgetAfter)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			p.forget(now)
		case <-ctx.Done():
			p.close()
			return nil
		}
	}
}

func (p *Peers) close() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.end()
	p.running.Wait()
	p.http.CloseIdleConnections()
	if p.direct != nil {
		p.direct.closeIdle(time.Now())
	}
}

// run starts f, unless everything has ended; then it reports false.
func (p *Peers) run(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	p.running.Go(f)
	return true
}

// lane returns the lane to a node.
func (p *Peers) lane(to *shard.Peer) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[to.ID]
	if l == nil {
		l = newLane(p, *to)
		p.lanes[to.ID] = l
	}
	l.usedAt = time.Now()
	return l
}

func (p *Peers) forget(now time.Time) {
	if p.direct != nil {
		p.direct.closeIdle(now.Add(-idleTimeout))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, l := range p.lanes {
		if now.Sub(l.usedAt) >= forgetAfter {
			delete(p.lanes, id)
		}
	}
}

// Cluster returns a client for an operator's call that is passed on to a node.
func (p *Peers) Cluster(to shard.Peer) tenantryv1connect.ClusterServiceClient {
	return tenantryv1connect.NewClusterServiceClient(p.http, to.URL, p.options(&to)...)
}
