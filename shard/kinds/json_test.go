package kinds

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// The walk finds what encoding/json finds, member by member, and survives what
// is no JSON.
func FuzzLookup(f *testing.F) {
	for _, seed := range []string{
		`{"a":{"b":1,"b":[2,{"c":"}"}]},"d\"":null}`, `{"a":"\\","a":"\\\""}`, ` {  } `, `[]`, `{"a":tru`, `{"`, `{"a"`, `{"a":"`, `}`, `{"a":1]2}`,
	} {
		f.Add([]byte(seed), "a")
	}
	f.Fuzz(func(t *testing.T, raw []byte, name string) {
		got, err := lookup(raw, []string{name})
		for range elements(raw) {
			_ = valueOf(raw)
		}
		var want map[string]json.RawMessage
		if !utf8.Valid(raw) || json.Unmarshal(raw, &want) != nil || bytes.Contains(raw, []byte(`\u`)) {
			return
		}
		value, ok := want[name]
		if ok != (err == nil) || ok && !bytes.Equal(value, got) {
			t.Fatalf("%q of %s: got %q, %v, want %q", name, raw, got, err, value)
		}
	})
}
