package node_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
)

const (
	crowdIdle = 10_000 // connections that asked once
	crowdSlow = 1000   // connections in the middle of their headers
)

// TestACrowdOfConnections holds 10,000 idle connections to a node and 1,000 that
// send their headers a byte at a time: others are served, each over a
// connection of its own, and the node's memory is bounded.
func TestACrowdOfConnections(t *testing.T) {
	n := startServed(t, wrapper.New(wrapper.Config{}))
	c := newCaller(t, n.url)
	c.took(servedPaths[0], "123")
	before := n.metric(t, "process_resident_memory_bytes")
	const head = "GET /api/credits/check/crm.leads.create HTTP/1.1\r\nHost: x\r\nX-Tenant-Id: 123\r\n"
	addr := strings.TrimPrefix(n.url, "http://")
	idle := openCrowd(t, addr, crowdIdle, head+"\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(idle[crowdIdle-1]), nil); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", res, err)
	}
	slow := openCrowd(t, addr, crowdSlow, head+"X-Slow: ")

	var all []time.Duration
	for i := range 500 {
		_, _ = io.WriteString(slow[i], "x")
		c.client.CloseIdleConnections()
		all = append(all, c.took(servedPaths[0], "123"))
	}
	each := (n.metric(t, "process_resident_memory_bytes") - before) / (crowdIdle + crowdSlow)
	open := n.metric(t, "process_open_fds")
	t.Logf("%.0f files open, %.1f KB for each connection, p99 of another's request %.1f ms", open, each/1e3, percentileMs(all, 99))
	if open < crowdIdle {
		t.Errorf("%.0f files are open: the crowd is not there", open)
	}
	if each > crowdBytes {
		t.Errorf("the node has grown by %.0f bytes for each", each)
	}
	if slowest := percentileMs(all, 99); slowest > 1000 {
		t.Errorf("another's request took %.0f ms", slowest)
	}
}

// openCrowd opens connections and writes a text on each.
func openCrowd(t *testing.T, addr string, n int, text string) []net.Conn {
	t.Helper()
	crowd := make([]net.Conn, n)
	var g errgroup.Group
	g.SetLimit(50)
	for i := range crowd {
		g.Go(func() (err error) {
			if crowd[i], err = net.DialTimeout("tcp", addr, 10*time.Second); err == nil {
				_, err = io.WriteString(crowd[i], text)
			}
			return err
		})
	}
	err := g.Wait()
	t.Cleanup(func() {
		for _, c := range crowd {
			if c != nil {
				_ = c.Close()
			}
		}
	})
	if err != nil {
		t.Fatalf("%v (each connection needs two open files: see ulimit -n)", err)
	}
	return crowd
}
