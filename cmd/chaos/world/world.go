package world

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/netns"
	"github.com/tenantry/tenantry/cmd/chaos/origin"
)

// Config says how a world is made. Every field is required but the last six.
type Config struct {
	// Binary is the nodes'.
	Binary string
	// Dir gets configurations and logs.
	Dir string
	// Log is told when the bus is down.
	Log    *history.Log
	Origin *origin.Origin
	// Heartbeat, ProofTTL and Bound are the nodes'.
	Heartbeat, ProofTTL, Bound time.Duration
	// Resyncs is the nodes' coherence.resync_per_second; 0: as it is by default.
	Resyncs int
	// Concurrency is how many reads of the origin a node may have in flight, in
	// all and for a tenant; 0: as it is by default.
	Concurrency int
	// Leisure is the nodes' cluster.warm_timeout and drain_timeout; 0: as they are by
	// default.
	Leisure time.Duration
	// Mutation is the rule that the nodes are to break; empty: none.
	Mutation string
	// Nodes is how many there are; 0: one, which is alone.
	Nodes int
	// Net has a namespace for each node; nil: all are on the loopback, with gates
	// between them.
	Net *netns.Network
}

// World is the running nodes and what is around them.
type World struct {
	// Bus is a client of Redis itself, past the proxies.
	Bus *redis.Client

	cfg               Config
	label             string // of the cluster
	nodes             atomic.Pointer[[]*Node]
	dialers           sync.Mutex // one is looked for at a time
	redis             process
	redisAt, originAt string
	scraper           http.Client // of metrics
	server            *http.Server
	serverStopped     chan struct{}
}

// Nodes returns the nodes that there are, running or not.
func (w *World) Nodes() []*Node { return *w.nodes.Load() }

// outputBuffer is how much a slow subscriber may be behind before Redis cuts it
// off: less than the default, so that a flood gets there.
const outputBuffer = "2mb 1mb 2"

// New makes a world and starts it. [World.Close] is needed even after an error.
func New(ctx context.Context, cfg Config) (*World, error) {
	w := &World{cfg: cfg, label: fmt.Sprintf("chaos-%x", rand.Uint64())}
	w.cfg.Nodes = max(cfg.Nodes, 1)
	w.nodes.Store(&[]*Node{})
	w.scraper.Transport = &http.Transport{DisableCompression: true} // a look is to cost the node little
	for _, step := range []func(context.Context) error{w.startRedis, w.startOrigin, w.startNodes} {
		if err := step(ctx); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *World) startRedis(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("redis-server is needed: %w", err)
	}
	w.redisAt = net.JoinHostPort("127.0.0.1", port)
	w.redis.path, w.redis.dir, w.redis.log, w.redis.args = path, w.cfg.Dir, "redis.log", []string{
		"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no",
		"--client-output-buffer-limit", "pubsub " + outputBuffer,
	}
	if err := w.redis.start(); err != nil {
		return err
	}
	if err := await(ctx, w.redisAt); err != nil {
		return fmt.Errorf("redis-server: %w", err)
	}
	// A publisher waits for its acknowledgement for as long as it takes.
	w.Bus = redis.NewClient(&redis.Options{
		Addr: w.redisAt, MaxRetries: -1, DialerRetries: 1, ReadTimeout: time.Minute, WriteTimeout: time.Minute,
		ContextTimeoutEnabled: true, PoolSize: 64, PoolTimeout: time.Minute,
	})
	return nil
}

func (w *World) startOrigin(context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.server = &http.Server{Handler: w.cfg.Origin, ReadHeaderTimeout: time.Minute}
	w.serverStopped = make(chan struct{})
	go func() {
		defer close(w.serverStopped)
		_ = w.server.Serve(l)
	}()
	w.originAt = l.Addr().String()
	return nil
}

// StopRedis kills Redis and returns what starts it again.
func (w *World) StopRedis(ctx context.Context) (start func() error) {
	w.redis.kill()
	up := w.cfg.Log.BusDown()
	return func() error {
		up()
		if err := w.redis.start(); err != nil {
			return err
		}
		return await(ctx, w.redisAt)
	}
}

// FreezeRedis stops the execution of Redis and returns what lets it go on.
func (w *World) FreezeRedis() (thaw func()) {
	w.redis.signal(syscall.SIGSTOP)
	up := w.cfg.Log.BusDown()
	return func() {
		up()
		w.redis.signal(syscall.SIGCONT)
	}
}

// Close ends everything.
func (w *World) Close() {
	w.scraper.CloseIdleConnections()
	for _, n := range w.Nodes() {
		n.close()
	}
	w.redis.signal(syscall.SIGCONT)
	w.redis.kill()
	if w.Bus != nil {
		_ = w.Bus.Close()
	}
	if w.server != nil {
		_ = w.server.Close()
		<-w.serverStopped
	}
}
