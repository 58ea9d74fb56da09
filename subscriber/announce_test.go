package subscriber

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// announced is what arrived of an announcement.
type announced struct {
	EventID, EventType, TenantID, Source string
	Version, Sequence                    uint64
	Deleted                              bool
	OccurredAt                           time.Time
	Data                                 json.RawMessage
}

func (f *fakeServer) announced(t *testing.T) (all []announced) {
	t.Helper()
	for _, text := range f.arrived {
		var a announced
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		all = append(all, a)
	}
	return all
}

func TestAnnounce(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *Publisher, s *fakeServer) {
		committed := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
		if n, err := p.Announce(t.Context(), "a", "roles", Announcement{
			ID: "change-1", Type: "role-changed", Data: map[string]any{"roleId": "<admin>", "permissions": []string{"crm.*"}},
			Version: new(uint64(1<<64 - 1)), OccurredAt: committed,
		}); n != 7 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		for _, a := range []Announcement{
			{Type: "role-deleted", Data: json.RawMessage(`{"roleId": 3.10}`)},
			{Type: "role-changed", Data: []byte(`{"roleId":"x"}`), Deleted: true, Version: new(uint64(0))},
			{Type: "tenant-deleted"},
		} {
			if _, err := p.Announce(t.Context(), "a", "roles", a); err != nil {
				t.Error(err)
			}
		}
		source := p.numbers.source
		want := `{"eventId":"change-1","eventType":"role-changed","tenantId":"a","version":18446744073709551615,"occurredAt":"2026-01-02T02:04:05.000000006Z",` +
			`"data":{"permissions":["crm.*"],"roleId":"<admin>"},"source":"` + source + `","sequence":1}`
		if diff := cmp.Diff(want, s.arrived[0]); diff != "" {
			t.Errorf("arrived (-want +got):\n%s", diff)
		}
		got := s.announced(t)
		if !strings.HasPrefix(source, "wrapper-") || len(got[1].EventID) != 26 || got[1].EventID == got[2].EventID {
			t.Errorf("source %s, ids %s and %s", source, got[1].EventID, got[2].EventID)
		}
		for i := range got {
			got[i].EventID = ""
		}
		now := time.Now().UTC()
		if diff := cmp.Diff([]announced{
			{EventType: "role-deleted", TenantID: "a", Source: source, Sequence: 2, OccurredAt: now, Data: []byte(`{"roleId": 3.10}`)},
			{EventType: "role-changed", TenantID: "a", Source: source, Sequence: 3, OccurredAt: now, Data: []byte(`{"roleId":"x"}`), Deleted: true},
			{EventType: "tenant-deleted", TenantID: "a", Source: source, Sequence: 4, OccurredAt: now},
		}, got[1:]); diff != "" {
			t.Errorf("arrived (-want +got):\n%s", diff)
		}
	})
}

// What nodes would refuse is not sent, and leaves no gap.
func TestAnnounceRefuses(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *Publisher, s *fakeServer) {
		deep := strings.Repeat(`{"x":`, 64) + "1" + strings.Repeat("}", 64)
		for want, a := range map[string]Announcement{
			"data must be an object":    {Data: []int{1}},
			`data: not JSON: "{\"x`:     {Data: []byte(`{"x":`)},
			"data: not JSON: \"\"":      {Data: []byte{}},
			"twice":                     {Data: []byte(`{"x":1,"x":2}`)},
			"nested deeper":             {Data: []byte(deep)},
			"unsupported type":          {Data: func() {}},
			"eventId must be":           {ID: strings.Repeat("x", 513)},
			"eventType must be":         {Type: "a\nb"},
			"larger than nodes":         {Data: map[string]string{"x": strings.Repeat("x", 1<<20-100)}},
			"outside of range [0,9999]": {OccurredAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
			`not JSON: "{},`:            {Data: []byte(`{},"sequence":7`)},
		} {
			if _, err := p.Announce(t.Context(), "a", "roles", a); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want %q, got %v", want, err)
			}
		}
		if _, err := p.Announce(t.Context(), "a", "roles", Announcement{}); err != nil || len(s.arrived) != 1 || s.announced(t)[0].Sequence != 1 {
			t.Errorf("%v, arrived %q", err, s.arrived)
		}
	})
}

// Each channel has its own numbers. With too many to remember, all begin anew
// under another source.
func TestNumbers(t *testing.T) {
	n := newNumbers("wrapper")
	other := newNumbers("wrapper")
	source := n.source
	if source == other.source {
		t.Error("two publishers are one source")
	}
	next := func(channel string) string { return string(n.finish(nil, channel)) }
	for range 2 {
		for i := range maxNumbered {
			next(fmt.Sprint(i))
		}
	}
	if want := fmt.Sprintf(`,"source":"%s","sequence":3}`, source); next("0") != want || n.source != source {
		t.Errorf("source %s, want %s", n.source, source)
	}
	next("one more")
	if n.source == source || len(n.last) != 1 || next("0") != fmt.Sprintf(`,"source":"%s","sequence":1}`, n.source) {
		t.Errorf("source %s, %d channels", n.source, len(n.last))
	}
}
