package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// A node that is drained hands its tenants over and is gone, whoever is asked to; the
// others go on. Draining twice, and nobody, is told.
func TestDrain(t *testing.T) {
	base := basePort(t)
	demo := start(t, "demo", "--base-port", base, "--tenants", "20", "--latency", "1ms")
	until(t, "the demo is ready", func() bool { return strings.Contains(demo.out.String(), "Ctrl-C ends the demo.") })
	server := func(i int) string {
		first, _ := strconv.Atoi(base)
		return "http://127.0.0.1:" + strconv.Itoa(first+10*i)
	}
	for i := range 20 {
		tenantry("", "get", fmt.Sprintf("tenant-%04d", i+1), "credit-config", "crm.leads.create", "--server", server(i%3)).expect(t, 0, "cost", "")
	}
	tenantry("", "drain", "nobody", "--server", server(0)).expect(t, 1, "", "no member has this name")
	tenantry("", "drain", "--server", server(0)).expect(t, 2, "", "")
	tenantry("", "drain", "demo-2", "--server", server(0)).expect(t, 0, "demo-2 has left; it had ", "")
	tenantry("", "members", "--server", server(0)).expect(t, 0, "left", "")
	tenantry("", "members", "--server", server(1)).expect(t, 3, "", "no answer from")
	for i := range 20 {
		tenantry("", "tenant", fmt.Sprintf("tenant-%04d", i+1), "--server", server(0)).expect(t, 0, "live", "")
	}
	tenantry("", "drain", "demo-2", "--server", server(0)).expect(t, 1, "", "no member has this name")
	tenantry("", "drain", "demo-3", "--server", server(2), "-o", "json").expect(t, 0, `"demo-3"`, "")
	tenantry("", "drain", "demo-1", "--server", server(0), "--no-wait").expect(t, 0, "demo-1 drains", "")
}
