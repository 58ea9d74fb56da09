package subscriber

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeAccepts(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	changes := []Change{{Kind: "roles", Key: "k", Effect: Invalidate}}
	data := json.RawMessage(`{"key":"k"}`)
	tests := map[string]struct {
		payload string
		want    Event
	}{
		"seed": {seedMessage, Event{ID: "change-123", Type: "credit-config-changed", Data: data, Changes: changes}},
		"all": {
			` { "version" : 18446744073709551615 , "sequence":0, "source":"w1", "occurredAt":"2026-01-02T03:04:05.6Z",
			"deleted":false, "data":{"key":"k"}, "more":[{"data":1,"data":2}], "tenantId":"a"}` + "\n",
			Event{Version: 1<<64 - 1, Versioned: true, Sequenced: true, Source: "w1", OccurredAt: at, Data: data, Changes: changes},
		},
		"names are exact": {
			`{"Version":1,"EVENTID":2,"tenantid":"z","Data":3,"data":{"key":"k"}}`,
			Event{Data: data, Changes: changes},
		},
		"escapes": {
			`{"eventT\u0079pe":"r\u00f4le\/\"\ud83d\ude00","data":{"\u006bey":"k"}}`,
			Event{Type: `rôle/"😀`, Data: json.RawMessage(`{"\u006bey":"k"}`), Changes: changes},
		},
		"deleted by type":  {`{"eventType":"role-deleted","data":{"key":"k"}}`, Event{Type: "role-deleted", Deleted: true, Data: data, Changes: changes}},
		"deleted by field": {`{"deleted":true,"data":{"key":"k"}}`, Event{Deleted: true, Data: data, Changes: changes}},
		"tenant deleted":   {`{"eventType":"tenant-deleted"}`, Event{Type: "tenant-deleted", Deleted: true, TenantDeleted: true}},
		"deepest":          {`{"data":{"key":"k"},"x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, Event{Data: data, Changes: changes}},
		"brackets in text": {`{"data":{"key":"k"},"x":"` + strings.Repeat(`[\"`, 100) + `"}`, Event{Data: data, Changes: changes}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := decode("a", "roles", tt.payload, fakeKinds{})
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Tenant, tt.want.Topic, tt.want.Raw = "a", "roles", json.RawMessage(tt.payload)
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	member := func(texts ...string) []string {
		var payloads []string
		for _, text := range texts {
			payloads = append(payloads, `{"data":{"key":"k"},`+text+`}`)
		}
		return payloads
	}
	tests := map[string][]string{
		"malformed": append(member(`"data":{"key":"z"}`, `"x":1,"x":1`, `"x":1,"\u0078":1`, `"x":"`+"\xff"+`"`, `"x":"`+"\x00"+`"`, `"x":01`, `"x":+1`, `"x":1,`),
			``, ` `, `{`, `null`, `[]`, `"{}"`, `7`, `{}{}`, "\xef\xbb\xbf{}", "\x00", `{"data":{"key":"k","key":"k"}}`, `{"data":{"key":"k","k\u0065y":"k"}}`),
		"wrong_type": append(member(`"version":"7"`, `"version":-1`, `"version":-0`, `"version":1.0`, `"version":1e3`, `"version":18446744073709551616`, `"version":null`, `"version":{}`,
			`"sequence":true`, `"eventId":7`, `"eventType":null`, `"source":[]`, `"eventId":"\u0000"`, `"eventType":"`+strings.Repeat("x", 513)+`"`,
			`"tenantId":7`, `"occurredAt":1700000000`, `"occurredAt":"yesterday"`, `"deleted":"true"`, `"deleted":1`),
			`{"data":null}`, `{"data":[]}`, `{"data":"{}"}`),
		"foreign_tenant": member(`"tenantId":"b"`, `"tenantId":""`, `"tenantId":"A"`, `"tenantId":"a\u0000"`),
		"no_key":         {`{}`, `{"data":{}}`, `{"eventType":"role-deleted"}`, `{"Data":{"key":"k"}}`},
		"too_deep":       {strings.Repeat("[", 1_000_000), strings.Repeat(`{"a":`, 3000) + "1" + strings.Repeat("}", 3000), member(`"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64))[0]},
	}
	for reason, payloads := range tests {
		for _, payload := range payloads {
			_, err := decode("a", "roles", payload, fakeKinds{})
			if err == nil || err.Reason != reason {
				t.Errorf("%.80q: %v, want %s", payload, err, reason)
			}
			if err != nil && len(err.Detail) > 300 {
				t.Errorf("%.80q: a detail of %d bytes", payload, len(err.Detail))
			}
		}
	}
}

func TestManyMembersAreLinear(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"data":{"key":"k"`)
	for i := range 100_000 {
		b.WriteString(`,"` + strconv.Itoa(i) + `":0`)
	}
	if _, err := decode("a", "roles", b.String()+`}}`, fakeKinds{}); err != nil {
		t.Error(err)
	}
	if _, err := decode("a", "roles", b.String()+`,"99999":0}}`, fakeKinds{}); err == nil {
		t.Error("a duplicate among many members was accepted")
	}
}

func TestParseChannel(t *testing.T) {
	tests := []struct {
		prefix, channel, tenant, topic string
		ok                             bool
	}{
		{"crm:", "crm:a:roles", "a", "roles", true},
		{"crm:", "crm:a:roles:more", "a", "roles:more", true},
		{"eu:crm:", "eu:crm:a:roles", "a", "roles", true},
		{"crm:", "crmx:a:roles", "", "", false},
		{"crm:", "crm:a", "a", "", false},
		{"crm:", "", "", "", false},
	}
	for _, tt := range tests {
		tenant, topic, ok := parseChannel(tt.prefix, tt.channel)
		if tenant != tt.tenant || topic != tt.topic || ok != tt.ok {
			t.Errorf("%q: %q %q %v", tt.channel, tenant, topic, ok)
		}
	}
}

// Whatever is accepted is what encoding/json, which knows neither exact names
// nor duplicates, reads as well.
func FuzzDecode(f *testing.F) {
	f.Add(seedMessage)
	f.Add(`{"version":7,"sequence":1,"source":"s","occurredAt":"2026-01-02T03:04:05Z","deleted":true,"data":{"key":"\ud83d\ude00"}}`)
	f.Add(`{"eventType":"tenant-deleted","tenantId":"a"}`)
	f.Add(`{"d\u0061ta":{"key":"k"},"x":[[[{}]]],"version":18446744073709551616}`)
	f.Add(strings.Repeat("[", 3000))
	f.Fuzz(func(t *testing.T, payload string) {
		e, refused := decode("a", "roles", payload, fakeKinds{})
		if refused != nil {
			if !known(refused.Reason) || e != nil {
				t.Fatalf("refused with %q, event %v", refused.Reason, e)
			}
			return
		}
		checkAccepted(t, payload, e)
	})
}

func known(reason string) bool {
	return slices.Contains([]string{"malformed", "too_deep", "wrong_type", "no_key", "foreign_tenant"}, reason)
}

func checkAccepted(t *testing.T, payload string, e *Event) {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(payload), &all); err != nil || !utf8.ValidString(payload) {
		t.Fatalf("accepted what is not an object: %v", err)
	}
	if string(e.Raw) != payload || !bytes.Equal(bytes.TrimSpace(all["data"]), e.Data) {
		t.Fatalf("data %q, want %q", e.Data, all["data"])
	}
	if v, ok := all["version"]; ok != e.Versioned || ok && strconv.FormatUint(e.Version, 10) != string(v) {
		t.Fatalf("version %d, want %s", e.Version, v)
	}
	if v, ok := all["sequence"]; ok != e.Sequenced || ok && strconv.FormatUint(e.Sequence, 10) != string(v) {
		t.Fatalf("sequence %d, want %s", e.Sequence, v)
	}
	for name, got := range map[string]string{"eventId": e.ID, "eventType": e.Type, "source": e.Source} {
		var want string
		if v, ok := all[name]; ok {
			if err := json.Unmarshal(v, &want); err != nil {
				t.Fatal(err)
			}
		}
		if got != want {
			t.Fatalf("%s is %q, want %q", name, got, want)
		}
	}
	if e.TenantDeleted != (e.Type == "tenant-deleted") || !e.TenantDeleted && len(e.Changes) == 0 {
		t.Fatalf("event %+v", e)
	}
}

func FuzzParseChannel(f *testing.F) {
	f.Add("crm:a:roles")
	f.Fuzz(func(t *testing.T, channel string) {
		tenant, topic, ok := parseChannel("crm:", channel)
		if ok && (Config{}.Channel(tenant, topic) != channel || strings.Contains(tenant, ":")) {
			t.Fatalf("%q became %q, %q", channel, tenant, topic)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	payload := `{"eventId":"change-123","eventType":"credit-config-changed","tenantId":"123",` +
		`"data":{"key":"crm.leads.create","changedFields":["credit_cost"],"newValue":3.0,"oldValue":2.5}}`
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode("123", "credit-configs", payload, fakeKinds{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDispatch is an event's way from the queue to the handler.
func BenchmarkDispatch(b *testing.B) {
	s, err := New(Config{Connections: 1}, fakeKinds{}, discard{}, quiet, nil)
	if err != nil {
		b.Fatal(err)
	}
	l := newLife(s.conns[0], nil)
	for i := range 10_000 {
		s.Follow(strconv.Itoa(i))
	}
	payload := `{"eventId":"change-123","eventType":"credit-config-changed","tenantId":"123",` +
		`"data":{"key":"crm.leads.create","changedFields":["credit_cost"],"newValue":3.0,"oldValue":2.5}}`
	b.ReportAllocs()
	for b.Loop() {
		l.queue.push(item{channel: "crm:123:credit-configs", payload: payload})
		batch, _ := l.queue.take()
		for i := range batch {
			l.one(b.Context(), &batch[i])
		}
	}
}

// BenchmarkFollow is one call with 100,000 new tenants.
func BenchmarkFollow(b *testing.B) {
	tenants := make([]string, 100_000)
	for i := range tenants {
		tenants[i] = "tenant-" + strconv.Itoa(i)
	}
	b.ReportAllocs()
	for b.Loop() {
		s, err := New(Config{}, fakeKinds{}, discard{}, quiet, nil)
		if err != nil {
			b.Fatal(err)
		}
		s.Follow(tenants...)
	}
}

type discard struct{}

func (discard) Confirmed(int, string)                 {}
func (discard) Event(*Event)                          {}
func (discard) Refused(string, string, *RefusedError) {}
func (discard) Gap(string, string)                    {}
func (discard) Doubt(int, Cause)                      {}
func (discard) Proof(int, time.Time)                  {}
