package rpc_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/peers"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

// clusterSecret is what the nodes of a test show each other.
const clusterSecret = "between-the-nodes-of-a-test"

// transcript is a log that may be read at any time.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *transcript) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// member is one node of several.
type member struct {
	*rpctest.Host
	node *rpctest.Node
	peer shard.Peer
	url  string
	http *http.Client
	log  *transcript
}

// members are the nodes n1, n2, … on one network. The first owns nothing, all others
// everything, and all of them know that.
type members struct {
	network rpctest.Network
	all     []*member
}

// assemble starts n nodes; change may change how one is configured.
func assemble(t *testing.T, n int, change func(name string, c *rpc.Config)) *members {
	t.Helper()
	ms := new(members)
	var all []shard.Peer
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		all = append(all, shard.Peer{ID: "id-" + name, Name: name, URL: "http://" + name, BusLive: true})
	}
	for i, p := range all {
		m := &member{node: &rpctest.Node{Clock: time.Hour}, peer: p, url: p.URL, http: &http.Client{Transport: &ms.network}, log: new(transcript)}
		log := slog.New(slog.NewTextHandler(m.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		epoch := func() uint64 { return uint64(40 + i) }
		ask := peers.New(peers.Config{Self: p.Name, Epoch: epoch, Secret: clusterSecret, Transport: &ms.network, Logger: log})
		runPeers(t, ask)
		cfg := rpc.Config{
			Node: m.node, Readiness: m.node, Authenticate: rpc.Anonymous, Name: p.Name, Epoch: epoch,
			Peers: ask, Secrets: []string{clusterSecret}, Logger: log,
		}
		if change != nil {
			change(p.Name, &cfg)
		}
		m.Host = ms.network.Serve(p.Name, rpc.NewHandler(cfg))
		others := slices.Delete(slices.Clone(all), i, i+1)
		v := rpctest.View{Peers: others, Others: others}
		if i > 0 {
			v.Owns, v.Others = func(string) bool { return true }, others[1:]
		}
		m.node.See(v)
		ms.all = append(ms.all, m)
	}
	return ms
}

// runPeers runs peers until the end of the test.
func runPeers(t *testing.T, p *peers.Peers) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// bubble runs a test with n nodes in a bubble.
func bubble(t *testing.T, n int, test func(t *testing.T, ms *members)) {
	t.Helper()
	bubbleWith(t, n, nil, test)
}

func bubbleWith(t *testing.T, n int, change func(name string, c *rpc.Config), test func(t *testing.T, ms *members)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, assemble(t, n, change)) })
}

// set has an owner answer with an entry.
func (ms *members) set(kind, key string, a cache.Answer) {
	for _, m := range ms.all[1:] {
		m.node.Set("acme", kind, key, a)
	}
}

func (m *member) cache(options ...connect.ClientOption) tenantryv1connect.CacheServiceClient {
	return tenantryv1connect.NewCacheServiceClient(m.http, m.url, options...)
}

func (m *member) entitlement() tenantryv1connect.EntitlementServiceClient {
	return tenantryv1connect.NewEntitlementServiceClient(m.http, m.url)
}

func (m *member) get(t *testing.T, req *tenantryv1.GetRequest) *tenantryv1.GetResponse {
	t.Helper()
	if req.Tenant == "" {
		req.Tenant = "acme"
	}
	res, err := m.cache().Get(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// rest sends a GET.
func (m *member) rest(t *testing.T, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Tenant-Id", "acme")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := m.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}
