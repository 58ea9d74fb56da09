package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/subscriber"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

// eventsCheckDuring runs events check while publish publishes.
func eventsCheckDuring(t *testing.T, r *redistest.Server, publish func(publish func(channel, message string)), args ...string) result {
	t.Helper()
	done := make(chan result, 1)
	go func() {
		done <- tenantry("", append([]string{"events", "check", "--redis", r.Addr(), "--for", "1500ms"}, args...)...)
	}()
	until(t, "it listens", func() bool { return r.Client().PubSubNumPat(t.Context()).Val() == 1 })
	publish(func(channel, message string) {
		if err := r.Client().Publish(t.Context(), channel, message).Err(); err != nil {
			t.Error(err)
		}
	})
	return <-done
}

// good is an event of which nothing is to be said.
func good(sequence int) string {
	return fmt.Sprintf(`{"version":7,"source":"w-1","sequence":%d,"data":{"operationCode":"crm.leads.create","newValue":3.0}}`, sequence)
}

func TestEventsCheck(t *testing.T) {
	r := redistest.Start(t)
	t.Run("good", func(t *testing.T) {
		got := eventsCheckDuring(t, r, func(publish func(channel, message string)) {
			publish("crm:123:credit-configs", good(1))
			publish("crm:123:credit-configs", good(2))
			publish("crm:~beat:XYZ", "beat")
			publish("crmx:123:credit-configs", "of another namespace")
		})
		got.expect(t, 0, "2 events, 200 bytes, 1 topics\n", "")
		got.expect(t, 0, "credit-configs: good\n", "")
	})
	t.Run("nothing", func(t *testing.T) {
		eventsCheckDuring(t, r, func(func(channel, message string)) {}).expect(t, 0, "Nothing was published.", "")
	})
	t.Run("all sorts", func(t *testing.T) {
		got := eventsCheckDuring(t, r, allSorts, "-o", "json")
		got.expect(t, 1, `"verdict": "refused"`, "")
		var report checkReport
		if err := json.Unmarshal([]byte(got.out), &report); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantedOfAllSorts, report, cmpopts.IgnoreFields(topicTally{}, "Bytes", "Advice", "Examples"), cmpopts.IgnoreFields(checkReport{}, "Bytes")); diff != "" {
			t.Errorf("report (-want +got):\n%s", diff)
		}
		text := eventsCheckDuring(t, r, allSorts)
		for _, part := range []string{
			"roles (role)\n", "  - 1 refused as no_key, each a doubt about its tenant: say in data which item changed\n",
			"e.g. foreign_tenant: crm:123:roles {\"tenantId\":\"124\"", "1 set a value without a version: it is PROVISIONAL",
			"rolls\n  - no kind has this topic, so no node hears its 1 events", `e.g. ignored: crm:123:rolls \x1b[2J`, "1 jumps or falls",
		} {
			text.expect(t, 1, part, "")
		}
	})
	t.Run("one tenant", func(t *testing.T) {
		eventsCheckDuring(t, r, allSorts, "--tenant", "good").expect(t, 0, "1 events", "")
	})
	t.Run("a restart", func(t *testing.T) {
		r := redistest.Start(t)
		eventsCheckDuring(t, r, func(func(channel, message string)) { r.Restart() }).expect(t, 0, "The connection was lost 1 times: events were missed.", "")
	})
}

func allSorts(publish func(channel, message string)) {
	publish("crm:good:credit-configs", good(1))
	publish("crm:123:credit-configs", good(1))
	publish("crm:123:credit-configs", good(70)) // far ahead
	publish("crm:123:credit-configs", seedEvent)
	publish("crm:123:roles", `{"data":{}}`)
	publish("crm:123:roles", `{"tenantId":"124","data":{"roleId":"x"}}`)
	publish("crm:123:roles", `{"data":{"roleId":"x"}`)
	publish("crm:12!3:roles", `{"data":{"roleId":"x"}}`)
	publish("crm:123:roles", strings.Repeat("x", maxEvent+1))
	publish("crm:123:roles", `{"version":8,"data":{"roleId":"x"}}`)
	publish("crm:123:roles", `{"deleted":true,"data":{"roleId":"x"}}`)
	publish("crm:123:roles", `{"eventType":"tenant-deleted"}`)
	publish("crm:123:users", `{"data":{"userId":"x"}}`)
	publish("crm:123:hierarchy", `{"data":{"entityId":"x"}}`)
	publish("crm:123:rolls", "\x1b[2J")
	publish("crm:123", "no topic")
}

var wantedOfAllSorts = checkReport{
	Events: 16, Refused: 5, Interruptions: []string{},
	Topics: []*topicTally{
		{
			Topic: "roles", Kinds: []string{"role"}, Verdict: "refused", Events: 8, Unversioned: 2, Unsequenced: 3, Invalidating: 1,
			Refused: map[string]uint64{"no_key": 1, "foreign_tenant": 1, "malformed": 1, "bad_tenant": 1, "oversized": 1},
		},
		{Topic: "(none)", Kinds: []string{}, Verdict: "ignored", Events: 1, Refused: map[string]uint64{}},
		{Topic: "rolls", Kinds: []string{}, Verdict: "ignored", Events: 1, Refused: map[string]uint64{}},
		{
			Topic: "credit-configs", Kinds: []string{"credit-config"}, Verdict: "improvable", Events: 4, Provisional: 1, Unversioned: 1, Unsequenced: 1,
			Gaps: 1, Refused: map[string]uint64{},
		},
		{Topic: "hierarchy", Kinds: []string{"hierarchy"}, Verdict: "improvable", Events: 1, Unversioned: 1, Unsequenced: 1, Refused: map[string]uint64{}},
		{
			Topic: "users", Kinds: []string{"user-status", "user"}, Verdict: "improvable", Events: 1, Unversioned: 1, Unsequenced: 1, Invalidating: 1,
			Refused: map[string]uint64{},
		},
	},
}

func TestEventsCheckFails(t *testing.T) {
	r := redistest.Start(t)
	tenantry("", "events", "check", "--redis", "127.0.0.1:1").expect(t, 3, "", "is Redis at 127.0.0.1:1?")
	tenantry("", "events", "check", "-o", "xml").expect(t, 2, "", "text or json")
	tenantry("", "events", "check", "--for", "0s").expect(t, 2, "", "--for")
	tenantry("", "events", "check", "--tenant", "a:b").expect(t, 2, "", "--tenant")
	tenantry("", "events", "check", "--config", "/none").expect(t, 2, "", "/none")
	tenantry("", "events").expect(t, 0, "check", "")
	if err := r.Client().Do(t.Context(), "ACL", "SETUSER", "bus", "on", ">secret", "resetchannels", "&crm:123:*", "+psubscribe", "+ping").Err(); err != nil {
		t.Fatal(err)
	}
	conf := file(t, "bus.yaml", fmt.Sprintf("redis: {addresses: [%q], username: bus, password: secret}\n", r.Addr()))
	tenantry("", "events", "check", "--config", conf).expect(t, 3, "", "needs +psubscribe on the pattern crm:*, exactly")
	tenantry("", "events", "check", "--config", conf, "--tenant", "123", "--for", "10ms").expect(t, 0, "Nothing", "")
	if err := r.Client().Do(t.Context(), "ACL", "SETUSER", "bus", "&crm:*").Err(); err != nil {
		t.Fatal(err)
	}
	tenantry("", "events", "check", "--config", conf, "--tenant", "124", "--for", "10ms").expect(t, 0, "Nothing", "")
}

// Whatever is published, the tally stays small.
func TestTallyIsBounded(t *testing.T) {
	cfg := config.Default()
	set, err := cfg.Kinds.Set()
	if err != nil {
		t.Fatal(err)
	}
	tally := newTally(set)
	before := heapInUse()
	for i := range 50_000 {
		topic := strings.Repeat("x", 1000) + fmt.Sprint(i)
		tally.add(subscriber.Heard{Channel: "crm:a:" + topic, Tenant: "a", Topic: topic, Message: strings.Repeat("y", 1000)}, time.Now())
	}
	tally.add(subscriber.Heard{Channel: "crm:a:roles", Tenant: "a", Topic: "roles", Message: "{}"}, time.Now())
	grown := int64(heapInUse()) - int64(before)
	if len(tally.topics) != maxTopics+2 || tally.topics[otherTopics].Events != 49_000 || tally.topics["roles"].refused() != 1 || grown > 8<<20 {
		t.Errorf("%d topics, %d bytes", len(tally.topics), grown)
	}
	if err := tally.report().write(&lockedBuffer{}); err != nil {
		t.Error(err)
	}
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestTerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	regular, err := os.Open("events_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer regular.Close()
	if terminal(&lockedBuffer{}) || terminal(regular) || !terminal(null) {
		t.Error("a buffer and a file are no terminals, a device is taken for one")
	}
}

func TestPublishCompletes(t *testing.T) {
	r := redistest.Start(t)
	pubsub := r.Client().PSubscribe(t.Context(), "*")
	t.Cleanup(func() { _ = pubsub.Close() })
	if _, err := pubsub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	published := func(in string, args ...string) (got []string) {
		t.Helper()
		res := tenantry(in, append([]string{"publish", "123", "roles", "--redis", r.Addr()}, args...)...)
		res.expect(t, 0, "to 1 subscribers", "")
		for range strings.Count(res.out, "\n") {
			m, err := pubsub.ReceiveMessage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m.Payload)
		}
		return got
	}
	for _, test := range []struct {
		in   string
		args []string
		want []string
	}{
		{"{}\n", nil, []string{"{}\n"}},
		{" {} ", []string{"--version", "0"}, []string{`{"version":0}`}},
		{`{ "data":{}}`, []string{"--event-id", `a"b`, "--source", "s", "--sequence", "18446744073709551615"}, []string{`{"eventId":"a\"b","source":"s","sequence":18446744073709551615, "data":{}}`}},
		{"{}\n\n{\"data\":{}}\r\n", []string{"--lines", "--source", "s", "--sequence", "4"}, []string{`{"source":"s","sequence":4}`, `{"source":"s","sequence":5,"data":{}}`}},
	} {
		if diff := cmp.Diff(test.want, published(test.in, test.args...)); diff != "" {
			t.Errorf("published (-want +got):\n%s", diff)
		}
	}
	for in, args := range map[string][]string{
		`{"version":1}`: {"--version", "2"}, "[]": {"--version", "2"}, "": {"--event-id", "x"}, "{}": {"--sequence", "1"},
		"{}\n[]\n": {"--lines"}, "{ }": {"--source", strings.Repeat("x", 513), "--sequence", "1"},
	} {
		tenantry(in, append([]string{"publish", "123", "roles", "--redis", r.Addr()}, args...)...).expect(t, 2, "", "tenantry: ")
	}
	if err := r.Client().Do(t.Context(), "ACL", "SETUSER", "default", "-publish").Err(); err != nil {
		t.Fatal(err)
	}
	tenantry("{}", "publish", "123", "roles", "--redis", r.Addr()).expect(t, 3, "", "needs +publish")
}
