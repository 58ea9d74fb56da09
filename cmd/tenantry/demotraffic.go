package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"

	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
	"github.com/tenantry/tenantry/rpc/client"
)

// What --traffic does.
const (
	trafficReads   = 200 // a second
	trafficReaders = 8
	trafficReport  = 5 * time.Second
)

// traffic counts the reads since the last report.
type traffic struct {
	entries                               []entryNode
	wrapper                               *http.Client
	tenants                               []string
	reads, fresh, memory, changes, failed atomic.Int64
}

// entryNode is a node that is asked while it is ready, as by a load balancer.
type entryNode struct {
	client *client.Client
	ready  func() (ready bool, reasons, degraded []string)
}

// drive reads through all nodes and changes costs until ctx ends.
func (d *demo) drive(ctx context.Context, out io.Writer) {
	t := &traffic{wrapper: &http.Client{Timeout: 2 * time.Second}, tenants: []string{"123"}}
	defer t.wrapper.CloseIdleConnections()
	for _, n := range d.nodes {
		t.entries = append(t.entries, entryNode{client.New("http://"+n.RPC(), nil), n.Readiness})
	}
	for i := range d.tenants {
		t.tenants = append(t.tenants, wrapper.TenantName(i+1))
	}
	for range trafficReaders {
		go every(ctx, trafficReaders*time.Second/trafficReads, func() { t.read(ctx) })
	}
	go every(ctx, time.Second, func() { t.change(ctx, d.wrapper.Addr().String()) })
	every(ctx, trafficReport, func() { t.report(out) })
}

// every calls f at each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-ctx.Done():
			return
		}
	}
}

func (t *traffic) read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	a, err := t.entry().Get(ctx, t.tenants[rand.IntN(len(t.tenants))], "credit-config", "crm.leads.create")
	t.reads.Add(1)
	switch {
	case err != nil:
		t.failed.Add(1)
		return
	case a.Freshness.GetState() == tenantryv1.Freshness_FRESH:
		t.fresh.Add(1)
	}
	if s := a.Freshness.GetSource(); s == tenantryv1.Freshness_MEMORY || s == tenantryv1.Freshness_EVENT {
		t.memory.Add(1)
	}
}

// entry returns a node that is ready, or any if none is.
func (t *traffic) entry() *client.Client {
	first := rand.IntN(len(t.entries))
	for i := range t.entries {
		e := t.entries[(first+i)%len(t.entries)]
		if ready, _, _ := e.ready(); ready {
			return e.client
		}
	}
	return t.entries[first].client
}

// change changes a cost at the Wrapper, which publishes it.
func (t *traffic) change(ctx context.Context, wrapper string) {
	url := "http://" + wrapper + "/api/tenants/" + t.tenants[rand.IntN(len(t.tenants))] + "/credit-configs/crm.leads.create"
	body := `{"creditCost":` + strconv.Itoa(1+rand.IntN(9)) + `}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		return
	}
	if res, err := t.wrapper.Do(req); err == nil {
		_ = res.Body.Close()
		t.changes.Add(1)
	}
}

func (t *traffic) report(out io.Writer) {
	reads := max(t.reads.Swap(0), 1)
	share := func(n int64) float64 { return 100 * float64(n) / float64(reads) }
	fmt.Fprintf(out, "%s  %d reads, %.1f %% fresh, %.1f %% from memory, %d failed; %d changes\n", time.Now().Format(time.TimeOnly),
		reads, share(t.fresh.Swap(0)), share(t.memory.Swap(0)), t.failed.Swap(0), t.changes.Swap(0))
}
