package kinds_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/shard/kinds"
	"github.com/tenantry/tenantry/subscriber"
)

// seedEvent is the message of the specification, as it is published.
const seedEvent = `{"eventId":"change-123","eventType":"credit-config-changed","tenantId":"123",
 "data":{"operationCode":"crm.leads.create","changedFields":["credit_cost"],"newValue":3.0,"oldValue":2.5}}`

func preset(t testing.TB) *kinds.Set {
	t.Helper()
	s, err := kinds.Preset("crm", kinds.Options{Aliases: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// say writes changes as "kind key effect value", or the reason of a refusal.
func say(changes []subscriber.Change, err error) string {
	if refused, ok := errors.AsType[*subscriber.RefusedError](err); ok {
		return "refused " + refused.Reason
	}
	var lines []string
	for _, c := range changes {
		effect := [...]string{"set", "invalidate", "remove"}[c.Effect]
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", c.Kind, c.Key, effect, c.Value)))
	}
	return strings.Join(lines, "; ")
}

func TestPresetEvents(t *testing.T) {
	s := preset(t)
	credit := func(data string) string { return `{"data":{"operationCode":"op",` + data + `}}` }
	for _, c := range []struct{ name, topic, event, want string }{
		{"the seed's message", "credit-configs", seedEvent, `credit-config crm.leads.create set {"cost":3.0}`},
		{"the same by the alias", "credit-config-changed", seedEvent, `credit-config crm.leads.create set {"cost":3.0}`},
		{"decimal text", "credit-configs", credit(`"newValue":3.10`), `credit-config op set {"cost":3.10}`},
		{"exponent", "credit-configs", credit(`"newValue":1e2`), `credit-config op set {"cost":1e2}`},
		{"more digits than a double", "credit-configs", credit(`"newValue":12345678901234567890.123456789`), `credit-config op set {"cost":12345678901234567890.123456789}`},
		{"negative zero", "credit-configs", credit(`"newValue":-0.0`), `credit-config op set {"cost":-0.0}`},
		{"no double at all", "credit-configs", credit(`"newValue":1e999`), `credit-config op invalidate`},
		{"changed elsewhere", "credit-configs", credit(`"newValue":3,"changedFields":["name"]`), `credit-config op invalidate`},
		{"changed fields no list", "credit-configs", credit(`"newValue":3,"changedFields":"credit_cost"`), `credit-config op invalidate`},
		{"changed fields null", "credit-configs", credit(`"newValue":3,"changedFields":null`), `credit-config op invalidate`},
		{"text for a number", "credit-configs", credit(`"newValue":"3"`), `credit-config op invalidate`},
		{"null for a number", "credit-configs", credit(`"newValue":null`), `credit-config op invalidate`},
		{"no value", "credit-configs", credit(`"oldValue":3`), `credit-config op invalidate`},
		{"other case is another member", "credit-configs", credit(`"NewValue":3`), `credit-config op invalidate`},
		{"escaped name", "credit-configs", credit(`"\u006eewValue":3`), `credit-config op set {"cost":3}`},
		{"repeated name", "credit-configs", credit(`"newValue":3,"newValue":4`), `credit-config op set {"cost":4}`},
		{"repeated data", "credit-configs", `{"data":{"operationCode":"a"},"data":{"operationCode":"b","newValue":1}}`, `credit-config b set {"cost":1}`},

		{"role", "roles", `{"data":{"roleId":"r","permissions":["a.*", "<b>"]}}`, `role r set {"permissions":["a.*","<b>"]}`},
		{"role without permissions", "role-changed", `{"data":{"roleId":"r"}}`, `role r invalidate`},
		{"permissions of numbers", "roles", `{"data":{"roleId":"r","permissions":["a",1]}}`, `role r invalidate`},
		{"permissions as an object", "roles", `{"data":{"roleId":"r","permissions":{"a":1}}}`, `role r invalidate`},
		{"no permissions", "roles", `{"data":{"roleId":"r","permissions":[]}}`, `role r set {"permissions":[]}`},

		{"user", "users", `{"data":{"userId":"u","status":"active","roles":["r"],"name":"N"}}`,
			`user-status u set {"status":"active","roles":["r"]}; user u invalidate`},
		{"user without roles", "user-changed", `{"data":{"userId":"u","status":"active"}}`, `user-status u invalidate; user u invalidate`},
		{"config", "configs", `{"data":{"name":"n","value":{"a": [1.50, null]}}}`, `config n set {"value":{"a":[1.50,null]}}`},
		{"config null", "configs", `{"data":{"name":"n","value":null}}`, `config n set {"value":null}`},
		{"config without value", "configs", `{"data":{"name":"n"}}`, `config n invalidate`},
		{"hierarchy", "hierarchy", `{"data":{"entityId":"e","entityName":"E"}}`, `hierarchy e invalidate`},
		{"balance", "credit-balance-changed", `{"data":{"userId":"u"}}`, `credit-balance u invalidate`},

		{"unknown topic", "invoices", seedEvent, "refused unknown_topic"},
		{"no data", "roles", `{}`, "refused no_key"},
		{"data null", "roles", `{"data":null}`, "refused wrong_type"},
		{"data a list", "roles", `{"data":["roleId"]}`, "refused wrong_type"},
		{"no key", "users", `{"data":{"name":"N"}}`, "refused no_key"},
		{"key a number", "users", `{"data":{"userId":7}}`, "refused wrong_type"},
		{"key null", "users", `{"data":{"userId":null}}`, "refused wrong_type"},
		{"key an object", "users", `{"data":{"userId":{}}}`, "refused wrong_type"},
		{"key empty", "users", `{"data":{"userId":""}}`, "refused bad_key"},
		{"key a dot", "users", `{"data":{"userId":".."}}`, "refused bad_key"},
		{"key with NUL", "users", `{"data":{"userId":"a\u0000"}}`, "refused bad_key"},
		{"key with DEL", "users", `{"data":{"userId":"a\u007f"}}`, "refused bad_key"},
		{"key with C1", "users", `{"data":{"userId":"a\u0085"}}`, "refused bad_key"},
		{"key with half a pair", "users", `{"data":{"userId":"a\ud800"}}`, "refused bad_key"},
		{"key too long", "users", `{"data":{"userId":"` + strings.Repeat("x", 513) + `"}}`, "refused bad_key"},
		{"key with slashes", "users", `{"data":{"userId":"../x/😀"}}`, "user-status ../x/😀 invalidate; user ../x/😀 invalidate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := say(s.Changes(&subscriber.Event{Tenant: "123", Topic: c.topic, Raw: []byte(c.event)}))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeleted(t *testing.T) {
	e := &subscriber.Event{Topic: "users", Raw: []byte(`{"data":{"userId":"u","status":"active","roles":[]}}`), Deleted: true}
	if got, want := say(preset(t).Changes(e)), "user-status u remove; user u remove"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	e = &subscriber.Event{Topic: "roles", Raw: []byte(`{}`), TenantDeleted: true}
	if got, err := preset(t).Changes(e); len(got) != 0 || err != nil {
		t.Errorf("tenant deleted: got %v, %v", got, err)
	}
}

func TestTopics(t *testing.T) {
	with := []string{
		"config-changed", "configs", "credit-balance-changed", "credit-balances", "credit-config-changed", "credit-configs",
		"hierarchy", "hierarchy-changed", "role-changed", "roles", "user-changed", "users",
	}
	if diff := cmp.Diff(with, preset(t).Topics()); diff != "" {
		t.Error(diff)
	}
	s, err := kinds.Preset("crm", kinds.Options{})
	if err != nil {
		t.Fatal(err)
	}
	without := []string{"configs", "credit-balances", "credit-configs", "hierarchy", "roles", "users"}
	if diff := cmp.Diff(without, s.Topics()); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Changes(&subscriber.Event{Topic: "user-changed", Raw: []byte(`{"data":{"userId":"u"}}`)}); err == nil {
		t.Error("a dropped alias still has kinds")
	}
}

func TestPresetCache(t *testing.T) {
	var got []string
	for i, k := range preset(t).Cache() {
		if k.ID != i {
			t.Errorf("kind %s has ID %d, want %d", k.Name, k.ID, i)
		}
		line := fmt.Sprintf("%s %s", k.Name, k.Class)
		if k.Class != cache.OnDemand {
			line += fmt.Sprintf(" ttl=%s negative=%s stale=%s confirm=%s listed=%t", k.TTL, k.NegativeTTL, k.MaxStale, k.ConfirmAfter, k.Listed)
		}
		got = append(got, line)
	}
	want := []string{
		"credit-config critical ttl=1h0m0s negative=30s stale=5m0s confirm=200ms listed=true",
		"role critical ttl=1h0m0s negative=30s stale=5m0s confirm=200ms listed=true",
		"user-status critical ttl=1h0m0s negative=30s stale=5m0s confirm=200ms listed=true",
		"config critical ttl=1h0m0s negative=30s stale=5m0s confirm=200ms listed=true",
		"user reference ttl=5m0s negative=30s stale=24h0m0s confirm=200ms listed=false",
		"hierarchy reference ttl=15m0s negative=30s stale=24h0m0s confirm=200ms listed=false",
		"credit-balance reference ttl=5s negative=5s stale=24h0m0s confirm=200ms listed=false",
		"history on-demand",
		"audit-log on-demand",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPresetDocuments(t *testing.T) {
	const notValid = "error: the document is not valid: document.valid of the kind is not true"
	s := preset(t)
	for _, c := range []struct{ kind, doc, want string }{
		{"credit-config", `{"operationCode":"op","creditCost":2.50,"version":18446744073709551615}`, `op {"cost":2.50} v18446744073709551615`},
		{"credit-config", `{"operationCode":"op","creditCost":2,"version":"7"}`, `op {"cost":2}`},
		{"credit-config", `{"operationCode":"op","creditCost":2,"version":-1}`, `op {"cost":2}`},
		{"credit-config", `{"creditCost":2}`, ` {"cost":2}`},
		{"credit-config", `{"operationCode":"op"}`, `error: the document's value: "cost": the member is not there`},
		{"credit-config", `{"operationCode":1,"creditCost":2}`, `error: the document's key: not a string`},
		{"credit-config", `{"operationCode":"..","creditCost":2}`, `error: the document's key: the key is a dot segment`},
		{"credit-config", `{"operationCode":"op","creditCost":-12345678901234567890.120}`, `op {"cost":-12345678901234567890.120}`},
		{"credit-config", `{"operationCode":"op","creditCost":"free"}`, notValid},
		{"credit-config", `{"operationCode":"op","creditCost":null}`, notValid},
		{"credit-config", `{"operationCode":"op","creditCost":[1]}`, notValid},
		{"credit-config", `{"operationCode":"op","creditCost":true}`, notValid},
		{"credit-config", `{"operationCode":"op","creditCost":1e999}`, notValid},
		{"role", `{"roleId":"r","permissions":"x"}`, notValid},
		{"role", `{"roleId":"r","permissions":{"x":"x"}}`, notValid},
		{"role", `{"roleId":"r","permissions":["x",1]}`, notValid},
		{"role", `{"roleId":"r","permissions":[null]}`, notValid},
		{"role", `{"roleId":"r","permissions":null}`, notValid},
		{"role", `{"roleId":"r","permissions":[]}`, `r {"permissions":[]}`},
		{"user-status", `{"userId":"u","status":"active","roles":["a", "b"]}`, `u {"status":"active","roles":["a","b"]}`},
		{"user-status", `{"userId":"u","status":5,"roles":[]}`, notValid},
		{"user-status", `{"userId":"u","status":"active","roles":"a"}`, notValid},
		{"user-status", `{"userId":"u","status":"active","roles":[["a"]]}`, notValid},
		{"user-status", `{"userId":"u","status":"active"}`, `error: the document's value: "roles": the member is not there`},
		{"config", `{"name":"n","value":{"any": [1.0, null]}}`, `n {"value":{"any":[1.0,null]}}`},
		{"credit-balance", `{"userId":"u","availableCredits":7.00}`, `u {"userId":"u","availableCredits":7.00}`},
		{"credit-balance", `{"userId":"u","availableCredits":"7"}`, notValid},
		{"credit-balance", `{"userId":"u"}`, notValid},
		{"role", `{"roleId":"r","roleName":"R","permissions":[ "a" ],"version":3}`, `r {"permissions":["a"]} v3`},
		{"user", ` {"id": 1, "html": "<&>\u2028"} `, ` {"id":1,"html":"<&>\u2028"}`},
		{"user", `["u"]`, `error: the document is not a JSON object`},
		{"user", `{"a":`, `error: the document is not JSON in UTF-8`},
		{"user", "{\"a\":\"\xff\"}", `error: the document is not JSON in UTF-8`},
		{"history", ` [1, 2]`, `  [1, 2]`},
	} {
		key, value, version, versioned, err := s.Kind(c.kind).Map([]byte(c.doc))
		got := fmt.Sprintf("%s %s", key, value)
		if versioned {
			got += fmt.Sprintf(" v%d", version)
		}
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != c.want {
			t.Errorf("%s of %s:\n got %s\nwant %s", c.kind, c.doc, got, c.want)
		}
	}
}

func BenchmarkChanges(b *testing.B) {
	s := preset(b)
	e := &subscriber.Event{Topic: "credit-configs", Raw: []byte(seedEvent)}
	b.ReportAllocs()
	for b.Loop() {
		if c, err := s.Changes(e); err != nil || c[0].Effect != subscriber.Set {
			b.Fatal(c, err)
		}
	}
}

// A role of 5,000 permissions, each of which is looked at.
func BenchmarkChangesLong(b *testing.B) {
	s := preset(b)
	e := &subscriber.Event{Topic: "roles", Raw: []byte(`{"data":{"roleId":"r","permissions":["` + strings.Repeat(`x","`, 5_000) + `"]}}`)}
	for b.Loop() {
		if _, err := s.Changes(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChangesWithoutEvaluation(b *testing.B) {
	s := preset(b)
	e := &subscriber.Event{Topic: "hierarchy", Raw: []byte(strings.Replace(seedEvent, "operationCode", "entityId", 1))}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Changes(e); err != nil {
			b.Fatal(err)
		}
	}
}
