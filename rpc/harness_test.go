package rpc_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/rpctest"
)

// harness is a fake node behind a real server on loopback.
type harness struct {
	node     *rpctest.Node
	url      string
	registry *prometheus.Registry
	log      *strings.Builder // read it after stop
	stop     func()
}

func serve(t *testing.T, change func(*rpc.Config)) *harness {
	t.Helper()
	h := &harness{node: &rpctest.Node{Clock: time.Hour}, registry: prometheus.NewRegistry(), log: new(strings.Builder)}
	cfg := rpc.Config{
		Node: h.node, Readiness: h.node, Authenticate: rpc.Anonymous, Name: "n1",
		Epoch: func() uint64 { return 42 }, Registerer: h.registry,
		Logger: slog.New(slog.NewTextHandler(h.log, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.url = "http://" + l.Addr().String()
	h.stop = run(t, rpc.NewServer(l, rpc.NewHandler(cfg), nil))
	return h
}

// run runs a server until stop, or the end of the test.
func run(t *testing.T, s *rpc.Server) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func fresh(value string) cache.Answer {
	return cache.Answer{Value: []byte(value), Age: 1500 * time.Millisecond, Version: 7, Versioned: true, Position: time.Minute}
}

// h1 and h2c return clients with connections of their own.
func h1(t *testing.T) *http.Client { return transport(t, (*http.Protocols).SetHTTP1) }

func h2c(t *testing.T) *http.Client { return transport(t, (*http.Protocols).SetUnencryptedHTTP2) }

func transport(t *testing.T, enable func(*http.Protocols, bool)) *http.Client {
	p := new(http.Protocols)
	enable(p, true)
	tr := &http.Transport{Protocols: p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// get sends a REST request and returns the response with its body.
func (h *harness) get(t *testing.T, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	return h.send(t, h1(t), http.MethodGet, path, headers...)
}

func (h *harness) send(t *testing.T, c *http.Client, method, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := c.Do(req)
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
