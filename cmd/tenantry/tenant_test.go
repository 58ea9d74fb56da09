package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

func TestTenants(t *testing.T) {
	s := newStack(t)
	ask := func(args string) result { return tenantry("", append(strings.Fields(args), "--server", s.server)...) }
	until(t, "123 is live", func() bool { return strings.Contains(ask("tenant 123").out, " live for ") })
	ask("get 123 user user-1").expect(t, 0, "", "")
	ask("get 123 credit-config crm.leads.create").expect(t, 0, "", "")
	for _, text := range []string{
		"node        node-1\n", ", preloaded\n", "doubtful    no\n", " of 16 MiB\n", "crm:123:credit-configs\n", "criticalHits ", "avgResponseTime ",
		"KIND ", "credit-config   critical ", "user            reference  1        0 ", " 5m0s\n", "proof       ",
	} {
		if page := ask("tenant 123"); page.status != 0 || !strings.Contains(page.out, text) {
			t.Errorf("no %q in\n%s%s", text, page.out, page.errs)
		}
	}
	event := `{"eventId":"change-9","eventType":"role-changed","data":{"roleId":"admin"},"version":99}`
	tenantry(event, "publish", "123", "roles", "--redis", s.redis).expect(t, 0, "", "")
	until(t, "the event is told", func() bool { return strings.Contains(ask("tenant 123").out, "invalidated") })
	ask("tenant 123").expect(t, 0, "\nchange-9  ", "")
	t.Run("JSON", s.tenantJSON)

	ask("tenant nobody").expect(t, 0, "state   cold\n", "")
	ask("tenants").expect(t, 0, "123 ", "")
	if got := ask("tenants --prefix 12x").out; strings.Contains(got, "123") {
		t.Error(got)
	}
	ask("tenants -o json").expect(t, 0, `"tenant": "123"`, "")
	ask("members").expect(t, 0, "node-1  ready  live ", "")
	ask("members -o json").expect(t, 0, `"state": "STATE_READY"`, "")
	t.Run("invalidate", s.invalidates)
}

func (s stack) tenantJSON(t *testing.T) {
	got := tenantry("", "tenant", "123", "-o", "json", "--server", s.server)
	var answer struct {
		State      string
		CacheStats map[string]string
		LastEvents []struct{ EventID, Effect, Kind, Key, Version, Topic string }
		Channels   []string
		Kinds      []struct{ Kind, TTL string }
	}
	if err := json.Unmarshal([]byte(got.out), &answer); err != nil || answer.State != "TENANT_STATE_LIVE" || len(answer.Kinds) != 7 || len(answer.Channels) < 12 {
		t.Fatalf("%v, %+v of %s", err, answer, got.out)
	}
	for _, name := range []string{"criticalHits", "criticalMisses", "referenceHits", "referenceMisses", "avgResponseTime"} {
		if answer.CacheStats[name] == "" {
			t.Errorf("no %s in %v", name, answer.CacheStats)
		}
	}
	if e := answer.LastEvents[0]; e.Effect != "invalidated" || e.Kind != "role" || e.Key != "admin" || e.Version != "99" || e.Topic != "roles" {
		t.Errorf("%+v", e)
	}
}

func (s stack) invalidates(t *testing.T) {
	for _, test := range []struct {
		args      string
		status    int
		out, errs string
	}{
		{"123 role admin", 0, "invalidated on node-1\n", ""},
		{"123 role admin -o json", 0, `"node-1"`, ""},
		{"nobody role admin", 0, "nobody is not active: nothing is kept of it\n", ""},
		{"123 rule admin", 2, "", "credit-config"},
		{"123 history x", 2, "", "on-demand"},
		{"12:3 role x", 2, "", "tenant"},
		{"123 role", 2, "", "invalidate TENANT KIND KEY"},
		{"", 2, "", "invalidate TENANT KIND KEY"},
		{"123 role x --all", 2, "", "invalidate --all"},
		{"123 --all", 0, "dropped on node-1\n", ""},
		{"nobody --all", 0, "nobody is not active", ""},
		{"123 --all -o json", 0, `"nodes"`, ""},
		{"--all", 0, "dropped 1 tenants\n", ""},
		{"--all -o json", 0, `"tenants": 1`, ""}, // 123 is preloaded
		{"123 --all --server http://127.0.0.1:1", 3, "", "no answer"},
		{"--all --server http://127.0.0.1:1", 3, "", "no answer"},
	} {
		t.Run(test.args, func(t *testing.T) {
			args := append([]string{"invalidate"}, strings.Fields(test.args)...)
			if !strings.Contains(test.args, "--server") {
				args = append(args, "--server", s.server)
			}
			tenantry("", args...).expect(t, test.status, test.out, test.errs)
		})
	}
	tenantry("", "get", "123", "role", "admin", "--server", s.server).expect(t, 0, `"permissions"`, "fresh")
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{"": "-", "é b": "é b", "a\x1b[31m": `"a\x1b[31m"`, "a\tb\n": `"a\tb\n"`} {
		if got := plain(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 16 << 20: "16 MiB", 1<<20 - 1: "1023.9 KiB", 3 << 50: "3072 TiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestAColdTenantThatTheOriginDoesNotKnow(t *testing.T) {
	var out strings.Builder
	err := printTenant(&out, &tenantryv1.GetTenantResponse{Tenant: "ghost", State: tenantryv1.TenantState_TENANT_STATE_COLD,
		Load: &tenantryv1.TenantLoad{Error: "absent", RetryIn: durationpb.New(12 * time.Second)}})
	if err != nil || !strings.Contains(out.String(), "absent") || !strings.Contains(out.String(), "retried in 12s") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Nothing is drawn where nobody looks.
func TestProgress(t *testing.T) {
	f, err := os.Create(file(t, "errs", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := newProgress(f)
	p.say("half of it")
	p.end()
	if about, err := f.Stat(); err != nil || about.Size() != 0 {
		t.Errorf("%v, %v", about.Size(), err)
	}
	var line strings.Builder
	p = &progress{w: &line}
	p.say("half of it")
	p.say("all of it")
	p.end()
	if want := "\r\x1b[Khalf of it\r\x1b[Kall of it\n"; line.String() != want {
		t.Errorf("%q", line.String())
	}
}
