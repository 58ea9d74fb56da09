package strictyaml_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

type root struct {
	Name  string           `yaml:"name" doc:"a name"`
	Color string           `yaml:"color" oneof:"red|green"`
	Wait  time.Duration    `yaml:"wait" min:"1s" max:"1m"`
	Load  float64          `yaml:"load" min:"0.5"`
	Count int8             `yaml:"count"`
	On    bool             `yaml:"on"`
	Words []string         `yaml:"words"`
	Inner inner            `yaml:"inner"`
	Table map[string]inner `yaml:"table"`
}

type inner struct {
	Limit *int `yaml:"limit" max:"5"`
}

func TestDecode(t *testing.T) {
	got := root{Name: "kept", Color: "red"}
	r := strictyaml.Decode("f", []byte("wait: 2s\nload: 1\ncount: -128\non: true\nwords: [a, 1.0, 'null']\ntable: {x: {limit: 5}, y: {}}\n"), &got)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	five := 5
	want := root{
		Name: "kept", Color: "red", Wait: 2 * time.Second, Load: 1, Count: -128, On: true,
		Words: []string{"a", "1.0", "null"}, Table: map[string]inner{"x": {&five}, "y": {}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !r.Given("table.x.limit") || r.Given("name") || r.Place("table.x.limit") != "f:6" || r.Place("inner.limit") != "f" {
		t.Error("places are wrong:", r.Place("table.x.limit"), r.Place("inner.limit"))
	}
}

func TestEncode(t *testing.T) {
	five := 5
	var b bytes.Buffer
	of := root{Name: "1", Wait: 90 * time.Minute, Words: []string{"a b", "true"}, Inner: inner{&five}}
	if err := strictyaml.Encode(&b, &of, true); err != nil {
		t.Fatal(err)
	}
	want := `# a name
name: "1"
color: ""
wait: 1h30m
load: 0
count: 0
on: false
words: [a b, "true"]
inner:
  limit: 5
table: {}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// A thousand mistakes are a hundred and a number.
func TestManyMistakes(t *testing.T) {
	var got root
	err := strictyaml.Decode("f", bytes.Repeat([]byte("name: x\n"), 1001), &got).Err()
	m, ok := errors.AsType[*strictyaml.MistakesError](err)
	if !ok || len(m.All) != 100 || m.More != 900 {
		t.Errorf("got %v", err)
	}
	if err := strictyaml.Decode("f", bytes.Repeat([]byte(" "), 2<<20), &got).Err(); err == nil {
		t.Error("two megabytes were read")
	}
}

// What is deep, long or shared costs no more than reading it.
func TestBombs(t *testing.T) {
	for _, text := range []string{
		"words: " + string(bytes.Repeat([]byte("["), 9_000)),
		"a: &a [x]\nb: &b [*a,*a,*a]\nwords: [*b,*b]",
		"table: " + string(bytes.Repeat([]byte("{a: "), 5_000)) + string(bytes.Repeat([]byte("}"), 5_000)),
	} {
		var got root
		if strictyaml.Decode("f", []byte(text), &got).Err() == nil {
			t.Errorf("no mistake in %.40s", text)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("wait: 2s\nwords: [a]\ntable: {x: {limit: 5}}"))
	f.Add([]byte("? [a]\n: b\n--- !x\n&a *a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, again root
		if strictyaml.Decode("f", data, &got).Err() != nil {
			return
		}
		var b bytes.Buffer
		if err := strictyaml.Encode(&b, &got, false); err != nil {
			t.Fatal(err)
		}
		// Zero values may be out of bounds, but what was read is read again.
		_ = strictyaml.Decode("f", b.Bytes(), &again)
		if got.Name != again.Name || !cmp.Equal(got.Words, again.Words) || !cmp.Equal(got.Table, again.Table) {
			t.Fatalf("%q\n%s\n%+v\n%+v", data, b.String(), got, again)
		}
	})
}
