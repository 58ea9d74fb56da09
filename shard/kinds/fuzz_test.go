package kinds_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tenantry/tenantry/shard/kinds"
	"github.com/tenantry/tenantry/subscriber"
)

// accepted says whether the bus would hand the message to the kinds.
func accepted(raw []byte) bool {
	var object map[string]json.RawMessage
	return utf8.Valid(raw) && json.Unmarshal(raw, &object) == nil && object != nil
}

// Whatever a message says, a change has a key that may be one and, where it
// sets, a value that is JSON.
func FuzzChanges(f *testing.F) {
	for _, seed := range []string{
		seedEvent,
		`{"data":{"roleId":"r","permissions":["a","b"],"userId":"u","status":"s","roles":[]}}`,
		`{"data":{"name":"n","value":[[[{}]],1e999,-0.10,"\ud83d\ude00\ud800"],"entityId":"\u0000"}}`,
		`{"data":null}`, `{"data":{"userId":{"userId":"u"}},"data":{}}`,
	} {
		f.Add([]byte(seed), false)
	}
	s := preset(f)
	f.Fuzz(func(t *testing.T, raw []byte, deleted bool) {
		if !accepted(raw) {
			return
		}
		for _, topic := range s.Topics() {
			changes, err := s.Changes(&subscriber.Event{Topic: topic, Raw: raw, Deleted: deleted})
			if (err == nil) != (len(changes) > 0) {
				t.Fatalf("%s: %d changes, error %v", topic, len(changes), err)
			}
			for _, c := range changes {
				checkChange(t, c, deleted)
			}
		}
	})
}

func checkChange(t *testing.T, c subscriber.Change, deleted bool) {
	t.Helper()
	if c.Key == "" || len(c.Key) > 512 || !utf8.ValidString(c.Key) {
		t.Fatalf("key %q", c.Key)
	}
	if deleted != (c.Effect == subscriber.Remove) {
		t.Fatalf("effect %v of deleted %t", c.Effect, deleted)
	}
	if (c.Effect == subscriber.Set) != json.Valid(c.Value) {
		t.Fatalf("effect %v with value %q", c.Effect, c.Value)
	}
}

// No text, JSON or not, makes the mapping of documents panic.
func FuzzMap(f *testing.F) {
	for _, seed := range []string{
		`{"operationCode":"op","creditCost":2.50,"version":3}`, `{"userId":"u","status":"s","roles":["r"]}`,
		`[`, `{"a`, `{"a":}`, `{"\`, `{,}`, `{"a":1,,}`, ` {"roleId":"r","permissions":]}`,
	} {
		f.Add([]byte(seed))
	}
	s := preset(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, k := range s.Kinds() {
			_, value, _, _, err := k.Map(doc)
			if (err == nil) != json.Valid(value) {
				t.Fatalf("%s: error %v, value %q", k.Name(), err, value)
			}
		}
	})
}

// Any file gives kinds or says what is wrong with it, in lines of bounded number.
func FuzzParse(f *testing.F) {
	for _, file := range []string{"crm.yaml", "../../deploy/kinds/feature-flags.yaml", "testdata/mistakes/everything.yaml", "testdata/mistakes/anchors.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := kinds.Parse("k", data, kinds.Options{Aliases: true})
		if err != nil {
			if err.Error() == "" || strings.Count(err.Error(), "\n") > 100 {
				t.Fatal(err)
			}
			return
		}
		if len(s.Cache()) != len(s.Origin()) || len(s.Cache()) == 0 {
			t.Fatal("no kinds and no error")
		}
	})
}

// Any expression is refused, or gives JSON, or invalidates.
func FuzzExpression(f *testing.F) {
	for _, seed := range []string{
		"event.data.x", `event["data"].x`, "event.data.x.map(a, [a, a])", "event.data.y.z + 1", "has(event.data.x)",
		"event.data.x.all(a, event.data.x.all(b, a == b))", `{"a": event.data.x}`, "duration('1s')", "[1u, 1.5, b'x']", "event", "type(event)",
	} {
		f.Add(seed, `[1, "a", {"b": 2.50}]`)
	}
	f.Fuzz(func(t *testing.T, expression, x string) {
		text, err := json.Marshal(expression)
		if err != nil || !utf8.ValidString(expression) || !json.Valid([]byte(x)) || !utf8.ValidString(x) {
			return
		}
		s, err := kinds.Parse("k", []byte(strings.Replace(small, "VALUE", string(text), 1)), kinds.Options{})
		if err != nil {
			return
		}
		changes, err := s.Changes(&subscriber.Event{Topic: "t", Raw: []byte(`{"data":{"id":"k","x":` + x + `}}`)})
		if err != nil || len(changes) != 1 {
			t.Fatal(changes, err)
		}
		checkChange(t, changes[0], false)
	})
}
