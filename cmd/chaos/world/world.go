package world

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/origin"
	"github.com/tenantry/tenantry/cmd/chaos/proxy"
)

// Config says how a world is made. Every field is required but the last three.
type Config struct {
	// Binary is the node's.
	Binary string
	// Dir gets configurations and logs.
	Dir string
	// Log is told when the bus is down.
	Log    *history.Log
	Origin *origin.Origin
	// Heartbeat, ProofTTL and Bound are the node's.
	Heartbeat, ProofTTL, Bound time.Duration
	// Resyncs is the node's coherence.resync_per_second; 0: as it is by default.
	Resyncs int
	// Concurrency is how many reads of the origin the node may have in flight, in
	// all and for a tenant; 0: as it is by default.
	Concurrency int
	// Mutation is the rule that the node is to break; empty: none.
	Mutation string
}

// World is a running node and what is around it.
type World struct {
	// Node is the base URL of the node.
	Node string
	// Bus is a client of Redis itself, past the proxy.
	Bus *redis.Client
	// BusProxy and OriginProxy are in front of Redis and of the origin.
	BusProxy, OriginProxy *proxy.Proxy

	cfg           Config
	node, redis   process
	rpc, redisAt  string
	admin         string
	scraper       http.Client // of metrics
	server        *http.Server
	serverStopped chan struct{}
}

// outputBuffer is how much a slow subscriber may be behind before Redis cuts it
// off: less than the default, so that a flood gets there.
const outputBuffer = "2mb 1mb 2"

// New makes a world and starts it. [World.Close] is needed even after an error.
func New(ctx context.Context, cfg Config) (*World, error) {
	w := &World{cfg: cfg}
	w.scraper.Transport = &http.Transport{DisableCompression: true} // a look is to cost the node little
	for _, step := range []func(context.Context) error{w.startRedis, w.startOrigin, w.startNode} {
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
	w.redis = process{path: path, dir: w.cfg.Dir, log: "redis.log", args: []string{
		"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no",
		"--client-output-buffer-limit", "pubsub " + outputBuffer,
	}}
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
	w.BusProxy, err = proxy.Start(w.redisAt)
	return err
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
	w.OriginProxy, err = proxy.Start(l.Addr().String())
	return err
}

func (w *World) startNode(ctx context.Context) error {
	var ports [3]string
	for i := range ports {
		var err error
		if ports[i], err = freePort(); err != nil {
			return err
		}
	}
	w.rpc, w.admin = net.JoinHostPort("127.0.0.1", ports[0]), net.JoinHostPort("127.0.0.1", ports[1])
	w.Node = "http://" + w.rpc
	files := map[string]string{
		"kinds.yaml": origin.KindsFile(w.cfg.Log.Kinds),
		"node.yaml":  w.config(ports),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.cfg.Dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	w.node = process{path: w.cfg.Binary, dir: w.cfg.Dir, log: "node.log", args: []string{"serve", "--config", "node.yaml"}}
	if w.cfg.Mutation != "" {
		w.node.env = []string{MutationVariable + "=" + w.cfg.Mutation}
	}
	return w.StartNode(ctx)
}

// MutationVariable names the rule that a node built for it is to break.
const MutationVariable = "CHAOS_MUTATION"

func (w *World) config(ports [3]string) string {
	resyncs, concurrency, limits := "", "", ""
	if n := w.cfg.Resyncs; n > 0 {
		resyncs = fmt.Sprintf(", resync_per_second: %d", n)
	}
	if n := w.cfg.Concurrency; n > 0 {
		concurrency, limits = fmt.Sprintf(", concurrency: %d", n), fmt.Sprintf("limits: {tenant_origin_concurrency: %d}\n", n)
	}
	return fmt.Sprintf(`node: {name: n1}
listen: {rpc: "127.0.0.1:%s", admin: "127.0.0.1:%s", gossip: "127.0.0.1:%s"}
redis: {addresses: ["%s"], heartbeat: %v}
coherence: {bound: %v, proof_ttl: %v%s}
origin: {url: "http://%s"%s}
kinds: {preset: "", file: kinds.yaml}
%s`, ports[0], ports[1], ports[2], w.BusProxy.Addr(), w.cfg.Heartbeat, w.cfg.Bound, w.cfg.ProofTTL, resyncs, w.OriginProxy.Addr(), concurrency, limits)
}

// StartNode starts the node and waits until it listens.
func (w *World) StartNode(ctx context.Context) error {
	if err := w.node.start(); err != nil {
		return err
	}
	if err := await(ctx, w.rpc); err != nil {
		return fmt.Errorf("the node: %w", err)
	}
	return nil
}

// KillNode kills the node.
func (w *World) KillNode() { w.node.kill() }

// StopNode stops the node's execution; ContinueNode lets it go on.
func (w *World) StopNode() { w.node.signal(syscall.SIGSTOP) }

// ContinueNode lets a stopped node go on.
func (w *World) ContinueNode() { w.node.signal(syscall.SIGCONT) }

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
	w.ContinueNode()
	w.node.kill()
	w.redis.signal(syscall.SIGCONT)
	w.redis.kill()
	if w.Bus != nil {
		_ = w.Bus.Close()
	}
	if w.BusProxy != nil {
		w.BusProxy.Close()
	}
	if w.server != nil {
		_ = w.server.Close()
		<-w.serverStopped
	}
	if w.OriginProxy != nil {
		w.OriginProxy.Close()
	}
}
