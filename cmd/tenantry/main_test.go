package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// seedEvent is the message of the specification, as it is published.
const seedEvent = `{"eventId":"change-123","eventType":"credit-config-changed","tenantId":"123",
 "data":{"operationCode":"crm.leads.create","changedFields":["credit_cost"],"newValue":3.0,"oldValue":2.5}}`

func TestReads(t *testing.T) {
	s := newStack(t)
	for _, test := range []struct {
		args      string
		status    int
		out, errs string
	}{
		{"get 123 credit-config crm.leads.create", 0, "{\"cost\":2.5}\n", "fresh (source "},
		{"get 123 credit-config crm.leads.create --max-age 0s", 0, "{\"cost\":2.5}\n", "version 1, node node-1)"},
		{"get tenant-0001 user-status user-2 --min-version 1", 0, `"status":`, "fresh (source origin"},
		{"get 123 credit-config crm.leads.destroy", 1, "", "not found"},
		{"get nobody role admin", 1, "", "not found"},
		{"get 123 rule admin", 2, "", "credit-config"},
		{"get 12:3 role admin", 2, "", "tenant"},
		{"get 123 role ..", 2, "", "key"},
		{"get 123 role", 2, "", "accepts 3 arg(s)"},
		{"get 123 role admin -o xml", 2, "", "text or json"},
		{"get 123 role admin --max-age soon", 2, "", "max-age"},
		{"get 123 role admin --colour", 2, "", "--colour"},
		{"get 123 role admin --server http://127.0.0.1:1", 3, "", "no answer from http://127.0.0.1:1"},
		{"get 123 role admin --server ftp://127.0.0.1:1", 2, "", "--server"},
		{"check 123 crm.leads.create", 0, "crm.leads.create costs 2.5\n", "fresh"},
		{"check 123 crm.leads.create --user user-1", 0, "yes: crm.leads.create costs 2.5, user-1 has 100\n", "fresh"},
		{"check 123 crm.leads.destroy", 1, "", "not found"},
		{"authorize 123 crm.leads.create --user user-1", 0, "yes\n", "fresh"},
		{"authorize 123 crm.leads.create --user user-3", 1, "  credits_insufficient: 2.5 credits needed, 0 available\n", "fresh"},
		{"authorize 123 crm.leads.create", 2, "", "user"},
		{"check 123 crm.leads.create --user=", 2, "", "--user is empty"},
		{"check 123 crm.leads.create --user nobody", 1, "", "not found"},
		{"check 123 crm.leads.create --server 127.0.0.1:1", 3, "", "no answer"},
	} {
		t.Run(test.args, func(t *testing.T) {
			args := strings.Fields(test.args)
			if !strings.Contains(test.args, "--server") {
				args = append(args, "--server", s.server)
			}
			tenantry("", args...).expect(t, test.status, test.out, test.errs)
		})
	}
	t.Run("JSON", s.readsJSON)
	t.Run("variable", func(t *testing.T) {
		t.Setenv("TENANTRY_SERVER", s.server)
		tenantry("", "get", "123", "config", "locale").expect(t, 0, `{"value":"en-GB"}`, "fresh")
	})
	t.Run("publish", s.publishes)
}

func (s stack) readsJSON(t *testing.T) {
	got := tenantry("", "get", "123", "credit-config", "crm.leads.create", "-o", "json", "--server", s.server)
	got.expect(t, 0, `"cost": 2.5`, "")
	var entry struct {
		Value     struct{ Cost json.Number }
		Freshness struct{ State, Node string }
	}
	if err := json.Unmarshal([]byte(got.out), &entry); err != nil || entry.Freshness.State != "FRESH" || entry.Freshness.Node != "node-1" {
		t.Errorf("%+v, %v, of %s", entry, err, got.out)
	}
	tenantry("", "authorize", "123", "crm.leads.create", "--user", "user-3", "-o", "json", "--server", s.server).
		expect(t, 1, `"creditCost": 2.5`, "")
	got = tenantry("", "check", "123", "crm.leads.create", "--user", "user-1", "-o", "json", "--server", s.server)
	var credits struct {
		Operation                    string
		CreditCost, AvailableCredits json.Number
		CanAfford                    bool
	}
	if err := json.Unmarshal([]byte(got.out), &credits); err != nil || got.status != 0 || !credits.CanAfford || credits.CreditCost != "2.5" || credits.AvailableCredits != "100" {
		t.Errorf("%+v, %v, of %s", credits, err, got.out)
	}
}

// publishes changes what is too dear to afford, which makes the answer a no.
func (s stack) publishes(t *testing.T) {
	dear := strings.Replace(strings.Replace(seedEvent, "3.0", "1000.50", 1), "{", `{"version":7,`, 1)
	tenantry(dear, "publish", "123", "credit-config-changed", "--redis", s.redis).
		expect(t, 0, "published on crm:123:credit-config-changed to 1 subscribers\n", "")
	check := func() result {
		return tenantry("", "check", "123", "crm.leads.create", "--user", "user-1", "--server", s.server)
	}
	until(t, "the cost is the event's", func() bool { return strings.Contains(check().out, "1000.50") })
	check().expect(t, 1, "no: crm.leads.create costs 1000.50, user-1 has 100\n", "fresh")

	event := file(t, "event.json", strings.Replace(dear, "7", "8", 1))
	tenantry("", "publish", "123", "credit-configs", "--data", event, "--config", s.config).expect(t, 0, "crm:123:credit-configs to 1", "")
	tenantry(`{"data":{}}`, "publish", "unheard-of", "credit-configs", "--redis", s.redis).expect(t, 0, "to 0 subscribers", "")
	tenantry(seedEvent, "publish", "unheard-of", "credit-configs", "--redis", s.redis).expect(t, 2, "", "foreign_tenant")
	tenantry("no JSON", "publish", "123", "roles", "--redis", s.redis).expect(t, 2, "", "refuse it")
	tenantry("[]", "publish", "123", "roles", "--redis", s.redis).expect(t, 2, "", "refuse it")
	tenantry(`{"x":"`+strings.Repeat("x", 1<<20)+`"}`, "publish", "123", "roles", "--redis", s.redis).expect(t, 2, "", "larger than 1 MiB")
	tenantry("", "publish", "123", "roles", "--data", event+".none").expect(t, 2, "", "--data")
	tenantry("{}", "publish", "12:3", "roles", "--redis", s.redis).expect(t, 2, "", "12:3")
	tenantry("{}", "publish", "123", "roles", "--redis", "nowhere").expect(t, 2, "", "--redis")
	tenantry("{}", "publish", "123", "roles", "--redis", "127.0.0.1:1").expect(t, 3, "", "is Redis at 127.0.0.1:1?")
}

const mistaken = `listen: {rpc: 7070, admim: ":1"}
coherence: {bound: 1s}
redis: {mode: sentinal, password: hunter2, password_file: /nowhere}
kinds: {preset: erp}
`

// Every mistake is told at once, with its place and key.
func TestConfigCheck(t *testing.T) {
	t.Setenv("TENANTRY_RING_REPLICAS", "0")
	bad := file(t, "bad.yaml", mistaken)
	for _, args := range [][]string{{"config", "check", bad}, {"config", "show", "--config", bad}, {"serve", "--config", bad}, {"publish", "a", "b", "--config", bad}} {
		got := tenantry("{}", args...)
		got.expect(t, 2, "", "the configuration has mistakes:\n")
		for _, part := range []string{
			"TENANTRY_RING_REPLICAS: ring.replicas: ", "bad.yaml:1: listen.rpc: ", "bad.yaml:1: listen.admim: unknown key", "bad.yaml:2: coherence.bound: ",
			"bad.yaml:3: redis.mode: ", "bad.yaml:3: redis.password_file: ", "bad.yaml:4: kinds.preset: ",
		} {
			if !strings.Contains(got.errs, part) {
				t.Errorf("%s: no %q in\n%s", args[0], part, got.errs)
			}
		}
		if got.out != "" || strings.Contains(got.errs, "hunter2") {
			t.Errorf("%s: printed %s%s", args[0], got.out, got.errs)
		}
	}
	tenantry("", "config", "check", bad+".none").expect(t, 2, "", "no such file")
	tenantry("", "config", "check").expect(t, 2, "", "accepts 1 arg(s)")
}

func TestConfig(t *testing.T) {
	good := file(t, "good.yaml", "listen: {rpc: ':7070'}\nlimits: {overrides: {acme: {tenant_bytes: 1MiB, tenant_requests_per_second: 5}}}\nredis: {password: hunter2}\n")
	got := tenantry("", "config", "check", good)
	got.expect(t, 0, "good.yaml: valid\n", "")
	got.expect(t, 0, "note: limits.overrides.acme.tenant_requests_per_second has no effect", "")
	got.expect(t, 0, "note: needs --insecure: listen.rpc is :7070", "")
	got = tenantry("", "config", "show", "--config", good)
	got.expect(t, 0, "tenant_bytes: 1MiB", "")
	if strings.Contains(got.out, "hunter2") {
		t.Errorf("a secret is shown:\n%s", got.out)
	}
	example := tenantry("", "config", "show", "--defaults")
	example.expect(t, 0, "# ", "")
	tenantry("", "config", "check", file(t, "example.yaml", example.out)).expect(t, 0, "valid", "")
	t.Setenv("REDIS_HOST", "elsewhere")
	tenantry("", "config", "show").expect(t, 0, "elsewhere:6379", "")
}

func TestTheCommandLine(t *testing.T) {
	tenantry("", "version").expect(t, 0, "tenantry dev\n", "")
	tenantry("", "version", "please").expect(t, 2, "", "tenantry: ")
	tenantry("", "sing").expect(t, 2, "", `unknown command "sing"`)
	tenantry("", "config", "sing").expect(t, 2, "", `unknown command "sing"`)
	tenantry("", "sample-wrapper", "--latency", "-1s").expect(t, 2, "", "--latency -1s: 0s or more")
	tenantry("").expect(t, 0, "Exit status: 0 done", "")
	for _, c := range rootCommand().Commands() {
		tenantry("", c.Name(), "--help").expect(t, 0, "Examples:\n", "")
	}
}

// A node that would be open to everybody starts only if told so.
func TestInsecure(t *testing.T) {
	admin := freeAddress(t)
	_, port, _ := strings.Cut(freeAddress(t), ":")
	t.Setenv("TENANTRY_LISTEN_RPC", ":"+port)
	t.Setenv("TENANTRY_LISTEN_ADMIN", admin)
	t.Setenv("TENANTRY_REDIS_ADDRESSES", "127.0.0.1:1")
	refused := tenantry("", "serve")
	refused.expect(t, 2, "", "listen.rpc is :"+port+", beyond loopback")
	refused.expect(t, 2, "", "--insecure")
	node := start(t, "serve", "--insecure")
	until(t, "the node lives", func() bool { return answers(t, "http://"+admin+"/healthz") })
	if answers(t, "http://"+admin+"/readyz") {
		t.Error("ready without a bus")
	}
	tenantry("", "serve", "--insecure").expect(t, 2, "", "listen.rpc: ")
	if strings.Contains(node.errs.String(), "redis: ") {
		t.Errorf("go-redis logs by itself:\n%s", node.errs.String())
	}
}
