package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

// The lines that the made part of the reference stands between.
const (
	referenceBegin = "<!-- keys: written by UPDATE=1 go test -run TestReference ./cmd/tenantry/config -->\n"
	referenceEnd   = "<!-- end of keys -->\n"
)

// The reference in docs is made from the structs.
func TestReference(t *testing.T) {
	const file = "../../../docs/configuration.md"
	var made strings.Builder
	if err := config.Reference(&made); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, begun := strings.Cut(string(data), referenceBegin)
	old, tail, ended := strings.Cut(rest, referenceEnd)
	if !begun || !ended {
		t.Fatalf("%s has no lines\n%s%s", file, referenceBegin, referenceEnd)
	}
	want := "\n" + made.String()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(head+referenceBegin+want+referenceEnd+tail), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, old); diff != "" {
		t.Errorf("run UPDATE=1 go test -run TestReference ./cmd/tenantry/config (-made +file):\n%s", diff)
	}
}

// Every key has a row with its variable, and those without effect say so.
func TestReferenceIsWhole(t *testing.T) {
	var made strings.Builder
	if err := config.Reference(&made); err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(made.String()) {
		if key, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); ok {
			rows[key] = line
		}
	}
	for leaf := range strictyaml.Leaves(config.Default()) {
		if row := rows[leaf.Key]; !strings.Contains(row, "`"+config.Variable(leaf.Key)+"`") || !strings.Contains(row, leaf.Tag.Get("doc")) {
			t.Errorf("%s: the row is %q", leaf.Key, row)
		}
	}
	for key, part := range map[string]string{
		"origin.timeout":                       "duration, 1ms to 5m | `2s`",
		"limits.overrides.TENANT.tenant_bytes": "size, 64KiB to 1TiB |  |  | the most memory",
		"redis.addresses":                      "list of host:port | `[127.0.0.1:6379]`",
		"tenants.idle_timeout":                 "| `15m` |",
		"redis.master_name":                    "**Without effect yet**",
	} {
		if !strings.Contains(rows[key], part) {
			t.Errorf("%s: no %q in %q", key, part, rows[key])
		}
	}
}
