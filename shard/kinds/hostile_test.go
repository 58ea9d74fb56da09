package kinds_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/subscriber"
)

// maxMessage is the largest message that the bus hands on.
const maxMessage = 1 << 20

// filled repeats part, where %d is a number, up to the size of a message.
func filled(head, part, tail string) string {
	var b strings.Builder
	b.WriteString(head)
	for i := 0; b.Len()+len(part)+len(tail)+8 < maxMessage; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		if strings.Contains(part, "%d") {
			fmt.Fprintf(&b, part, i)
		} else {
			b.WriteString(part)
		}
	}
	return b.String() + tail
}

type hostile struct {
	topic, event string
	want         string // how what comes of it starts; empty: the clock decides
}

// hostileEvents are messages of 1 MiB made to cost as much as they can.
func hostileEvents() map[string]hostile {
	long := strings.Repeat("x", 200)
	escapes := strings.Repeat(`\u0061`, 40)
	return map[string]hostile{
		"short elements":       {"roles", filled(`{"data":{"roleId":"r","permissions":[`, `""`, `]}}`), `role r invalidate`},
		"numbers":              {"roles", filled(`{"data":{"roleId":"r","permissions":[`, `1`, `]}}`), `role r invalidate`},
		"lists":                {"roles", filled(`{"data":{"roleId":"r","permissions":[`, `[]`, `]}}`), `role r invalidate`},
		"objects":              {"roles", filled(`{"data":{"roleId":"r","permissions":[`, `{"a":1}`, `]}}`), `role r invalidate`},
		"long elements":        {"roles", filled(`{"data":{"roleId":"r","permissions":[`, `"`+long+`"`, `]}}`), ""},
		"escaped elements":     {"roles", filled(`{"data":{"roleId":"r","permissions":[`, `"`+escapes+`"`, `]}}`), ""},
		"backslashes":          {"roles", filled(`{"data":{"roleId":"r","permissions":[`, `"`+strings.Repeat(`\"`, 100)+`"`, `]}}`), ""},
		"one element":          {"roles", `{"data":{"roleId":"r","permissions":["` + strings.Repeat("x", 900_000) + `"]}}`, ""},
		"one escaped element":  {"roles", `{"data":{"roleId":"r","permissions":["` + strings.Repeat(`\u0061`, 150_000) + `"]}}`, ""},
		"white space":          {"roles", `{"data":{"roleId":"r","permissions":[` + strings.Repeat(" ", 900_000) + `"x"]}}`, `role r set {"permissions":["x"]}`},
		"members":              {"users", filled(`{"data":{"userId":"u",`, `"x%d":1`, `,"status":"s","roles":[]}}`), `user-status u invalidate; user u invalidate`},
		"escaped members":      {"users", filled(`{"data":{"userId":"u",`, `"\u0075serI%d":1`, `,"status":"s","roles":[]}}`), `user-status u invalidate; user u invalidate`},
		"top-level members":    {"users", filled(`{`, `"\u0064at%d":1`, `,"data":{"userId":"u","status":"s","roles":[]}}`), `user-status u invalidate; user u invalidate`},
		"members of an object": {"roles", filled(`{"data":{"roleId":"r","permissions":{`, `"%d":1`, `}}}`), `role r invalidate`},
		"a large config":       {"configs", filled(`{"data":{"name":"r","value":[`, `1`, `]}}`), `config r set {"value":[1,1,`},
		"a deep config":        {"configs", filled(`{"data":{"name":"r","value":[`, strings.Repeat("[", 60)+strings.Repeat("]", 60), `]}}`), `config r set {"value":[[[[`},
		"an odd config":        {"configs", filled(`{"data":{"name":"r","value":[`, `  "\u0061" `, `]}}`), `config r set {"value":["\u0061","\u0061",`},
	}
}

func TestHostileEvents(t *testing.T) {
	s := preset(t)
	for name, h := range hostileEvents() {
		got := say(s.Changes(&subscriber.Event{Topic: h.topic, Raw: []byte(h.event)}))
		if !strings.HasPrefix(got, h.want) || strings.Contains(got, "refused") {
			t.Errorf("%s: got %.100s, want %s", name, got, h.want)
		}
	}
}

// An event is looked at as long as it has at most 10,000 values; what is only
// passed on is not counted.
func TestCrowdedEvents(t *testing.T) {
	s := preset(t)
	for n, want := range map[int]string{9_990: `credit-config op set {"cost":3.10}`, 10_000: `credit-config op invalidate`} {
		event := `{"data":{"operationCode":"op","newValue":3.10,"x":[1` + strings.Repeat(`,"[,{"`, n-1) + `]}}`
		if got := say(s.Changes(&subscriber.Event{Topic: "credit-configs", Raw: []byte(event)})); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

// A document may have ten times as many, and more time.
func TestCrowdedDocuments(t *testing.T) {
	role := preset(t).Kind("role")
	for n, ok := range map[int]bool{20_000: true, 100_000: false} {
		_, _, _, _, err := role.Map([]byte(`{"roleId":"r","permissions":["x"` + strings.Repeat(`,"x"`, n-1) + `]}`))
		if (err == nil) != ok {
			t.Errorf("%d permissions: %v", n, err)
		}
	}
}

// None may take 20 ms, for which it would hold up all other events.
func BenchmarkHostile(b *testing.B) {
	s := preset(b)
	for name, h := range hostileEvents() {
		b.Run(name, func(b *testing.B) {
			e := &subscriber.Event{Topic: h.topic, Raw: []byte(h.event)}
			for b.Loop() {
				if _, err := s.Changes(e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
