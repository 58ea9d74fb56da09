package kinds_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/shard/kinds"
	"github.com/tenantry/tenantry/subscriber"
)

// mistakes are the files of testdata/mistakes, whose errors stand beside them.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".txt")
			_, err = kinds.Parse("k.yaml", data, kinds.Options{Aliases: true})
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s", diff)
				if os.Getenv("UPDATE") != "" {
					_ = os.WriteFile(strings.TrimSuffix(file, ".yaml")+".txt", []byte(err.Error()+"\n"), 0o600)
				}
			}
		})
	}
}

func TestFeatureFlags(t *testing.T) {
	data, err := os.ReadFile("../../deploy/kinds/feature-flags.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := kinds.Parse("feature-flags.yaml", data, kinds.Options{Aliases: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ topic, event, want string }{
		{"flags", `{"data":{"flag":"f","enabled":true,"rollout":12.50}}`, `flag f set {"enabled":true,"rollout":12.50}`},
		{"flag-changed", `{"data":{"flag":"f","enabled":true,"rollout":101}}`, `flag f invalidate`},
		{"flags", `{"data":{"flag":"f","enabled":"yes","rollout":1}}`, `flag f invalidate`},
		{"segments", `{"data":{"region":"eu","segment":"vip","complete":true,"rules":[{"min":1e3}]}}`, `segment eu/vip set [{"min":1e3}]`},
		{"segments", `{"data":{"region":"eu","segment":"vip","rules":[]}}`, `segment eu/vip invalidate`},
		{"segments", `{"data":{"segment":"vip"}}`, `refused no_key`},
		{"segments", `{"data":{"region":7,"segment":"vip"}}`, `refused no_key`},
		{"banners", `{"data":{"banner-id":"b"}}`, `banner b invalidate`},
		{"prices", `{"data":{"sku":"s","amount":3.10,"currency":"EUR"}}`, `price s set {"amount":3.10,"currency":"EUR"}`},
	} {
		if got := say(s.Changes(&subscriber.Event{Topic: c.topic, Raw: []byte(c.event)})); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.event, got, c.want)
		}
	}
	want := []string{"feature-flags.yaml:60: kind price: confirm_after is 0s: the publisher vouches for the order of its events, and the coherence promise is void for this kind"}
	if diff := cmp.Diff(want, s.Warnings()); diff != "" {
		t.Error(diff)
	}
}

const small = `kinds:
  - name: a
    class: reference
    topics: [{name: t, aliases: [x, y]}]
    event: {key: event.data.id, value: VALUE}
    origin: {one: "/{tenant}/{key}"}
    ttl: 1m
  - name: b
    class: reference
    topics: [{name: t}]
    event: {key: event.data.b}
    origin: {one: "/{tenant}/{key}"}
    ttl: 1m
`

func parse(t testing.TB, file string) *kinds.Set {
	t.Helper()
	s, err := kinds.Parse("k.yaml", []byte(file), kinds.Options{Aliases: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What an expression that is more than a name makes of values.
func TestComputedValues(t *testing.T) {
	for _, c := range []struct{ expression, data, want string }{
		{`{a: event.data.x}`, `{"id":"k","x":3.10}`, `a k set {"a":3.10}`},
		{`'[event.data.x, event.data.x + 1.0]'`, `{"id":"k","x":3.10}`, `a k set [3.1,4.1]`},
		{`'true ? event.data.x : 0'`, `{"id":"k","x":{"n":3.10,"n":4.0}}`, `a k set {"n":3.10,"n":4.0}`},
		{`'true ? event.data.x : 0'`, `{"id":"k","x":[1.0, 9007199254740993]}`, `a k set [1.0,9007199254740993]`},
		{`'event.data.x + 1'`, `{"id":"k","x":9007199254740993}`, `a k set 9007199254740994`},
		{`'{"b": "<" + event.data.x, "a": null}'`, `{"id":"k","x":"&"}`, `a k set {"a":null,"b":"<&"}`},
		{`'event.data.x.map(e, e * 2)'`, `{"id":"k","x":[1,2]}`, `a k set [2,4]`},
		{`'event.data.x.size()'`, `{"id":"k","x":{"a":1,"b":2,"a":3}}`, `a k set 2`},
		{`'event.data.x == {"a": 3}'`, `{"id":"k","x":{"a":1,"a":3}}`, `a k set true`},
		{`'bytes("x")'`, `{"id":"k"}`, `a k invalidate`},
		{`'{1: 2}'`, `{"id":"k"}`, `a k invalidate`},
		{`'event.data.x / 0'`, `{"id":"k","x":1}`, `a k invalidate`},
		{`event.data.x`, `{"id":"k","x":[ ]}`, `a k set []`},
		{`event`, `{"id":"k"}`, `a k set {"data":{"id":"k"}}`},
	} {
		s := parse(t, strings.Replace(small, "VALUE", c.expression, 1))
		got := say(s.Changes(&subscriber.Event{Topic: "t", Raw: []byte(`{"data":` + c.data + `}`)}))
		if got != c.want {
			t.Errorf("%s of %s:\n got %s\nwant %s", c.expression, c.data, got, c.want)
		}
	}
}

// Two kinds of a topic: the event concerns those whose key it has, by any name.
func TestSharedTopic(t *testing.T) {
	s := parse(t, strings.Replace(small, "VALUE", "event.data.x", 1))
	for event, want := range map[string]string{
		`{"data":{"id":"k","b":"l"}}`: "a k invalidate; b l invalidate",
		`{"data":{"b":"l"}}`:          "b l invalidate",
		`{"data":{"id":"k","b":1}}`:   "refused wrong_type",
		`{"data":{}}`:                 "refused no_key",
	} {
		if got := say(s.Changes(&subscriber.Event{Topic: "y", Raw: []byte(event)})); got != want {
			t.Errorf("%s: got %s, want %s", event, got, want)
		}
	}
}

// Loops in loops, and loops over long work, end soon, and the event invalidates:
// each of these would be true in the end.
func TestQuadratic(t *testing.T) {
	list := "[" + strings.Repeat("[1],", 10_000) + "[1]]"
	for _, expression := range []string{
		`'event.data.x.all(a, event.data.x.all(b, a == b))'`,
		`'event.data.x.all(a, event.data.x == event.data.x)'`,
		`'event.data.x.all(a, !([2] in event.data.x))'`,
	} {
		s := parse(t, strings.Replace(small, "VALUE", expression, 1))
		got := say(s.Changes(&subscriber.Event{Topic: "t", Raw: []byte(`{"data":{"id":"k","x":` + list + `}}`)}))
		if got != "a k invalidate" {
			t.Errorf("%s: got %s", expression, got)
		}
	}
}
