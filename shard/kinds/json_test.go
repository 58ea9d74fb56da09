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

// Strings are unquoted as encoding/json does, but half a surrogate pair is no
// text, and names are compared by what they stand for.
func FuzzUnquote(f *testing.F) {
	for _, seed := range []string{`"a"`, `"\u0061\n\"\\\/"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ufffd"`, `"\u12"`, `"\x"`, `"\"`, `"\ud83d\u0061"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := unquote(raw)
		var want string
		if !utf8.Valid(raw) || len(raw) == 0 || raw[0] != '"' || raw[len(raw)-1] != '"' || json.Unmarshal(raw, &want) != nil {
			return
		}
		if ok && got != want || !ok && !bytes.Contains(bytes.ToLower(raw), []byte(`\ud`)) {
			t.Fatalf("%q: got %q, %t, want %q", raw, got, ok, want)
		}
		if ok && !named(raw, want) {
			t.Fatalf("%q is not named %q", raw, want)
		}
		if named(raw, want+"x") {
			t.Fatalf("%q is named %q", raw, want+"x")
		}
	})
}

// White space goes and the rest stays, as encoding/json does it.
func FuzzCompact(f *testing.F) {
	for _, seed := range []string{` { "a b" : [ 1 , "\" " ] } `, "\t[]\r\n", `"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got, want bytes.Buffer
		compact(&got, raw)
		if json.Valid(raw) && (json.Compact(&want, raw) != nil || got.String() != want.String()) {
			t.Fatalf("%q: got %q, want %q", raw, got.String(), want.String())
		}
	})
}
