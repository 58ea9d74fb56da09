package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// hangUp sends a SIGHUP to this process, which would otherwise end it.
func hangUp(t *testing.T) {
	t.Helper()
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	<-caught
}

// A SIGHUP takes up what can be, names what cannot, and a configuration with
// mistakes changes nothing.
func TestReload(t *testing.T) {
	kinds, err := os.ReadFile("../../shard/kinds/crm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kindsFile := file(t, "kinds.yaml", string(kinds))
	head := fmt.Sprintf("listen: {rpc: %q, admin: %q, gossip: \"127.0.0.1:0\"}\nredis: {addresses: [%q]}\nkinds: {file: %q}\n",
		freeAddress(t), freeAddress(t), freeAddress(t), kindsFile)
	path := file(t, "tenantry.yaml", head)
	node := start(t, "serve", "--config", path)
	until(t, "the node serves", func() bool { return strings.Contains(node.errs.String(), "msg=serving") })

	for _, step := range []struct{ name, config, want string }{
		{"nothing", "", `msg="the configuration was read again" taken=[]`},
		{"limits", "limits: {tenant_bytes: 1MiB, overrides: {acme: {tenant_origin_concurrency: 2}}}\n", `taken="[limits.tenant_bytes limits.overrides]"`},
		{"mistakes", "limits: {tenant_bytes: 1}\ntelemetry: {log_level: loud}\n", "tenantry.yaml:5: telemetry.log_level"},
		{"a restart", "limits: {tenant_bytes: 1MiB}\nring: {replicas: 3}\n", `keys=[ring.replicas]`},
		{"the level", "telemetry: {log_level: error}\n", "level=INFO msg=\"the configuration was read again\" taken=\"[limits.tenant_bytes telemetry.log_level]\""},
	} {
		if err := os.WriteFile(path, []byte(head+step.config), 0o600); err != nil {
			t.Fatal(err)
		}
		hangUp(t)
		until(t, step.name+": "+step.want, func() bool { return strings.Contains(node.errs.String(), step.want) })
	}
	lines := strings.Count(node.errs.String(), "\n")
	if err := os.WriteFile(path, []byte(head+"telemetry: {log_level: warn}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kindsFile, append(kinds, "# changed\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	hangUp(t)
	until(t, "kinds need a restart", func() bool { return strings.Contains(node.errs.String(), `keys=[kinds.file]`) })
	if got := strings.Count(node.errs.String(), "\n"); got != lines+1 {
		t.Errorf("%d lines more, when the level was to be warn:\n%s", got-lines, node.errs.String())
	}
}
