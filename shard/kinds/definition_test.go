package kinds_test

import (
	"strings"
	"testing"

	"github.com/tenantry/tenantry/shard/kinds"
)

// whole is a kind that gives all there is to give.
const whole = `kinds:
  - name: a
    class: critical
    topics: [{name: t, aliases: [x, y]}, {name: u}]
    event: {key: event.data.id, sets: event.data.all, value: {v: event.data.v, w: event.data.w}}
    document: {key: doc.id, version: doc.version, valid: doc.ok, value: {v: doc.v, w: doc.w}}
    origin: {one: "/{tenant}/a/{key}", list: "/{tenant}/a", snapshot: true}
    ttl: 1m
    negative_ttl: 1s
    max_stale: 1m
    confirm_after: 1s
`

// other is a kind that states the aliases of a topic of whole.
const other = `  - name: b
    class: reference
    topics: [{name: u, aliases: [z]}]
    event: {key: event.data.id}
    origin: {one: "/{tenant}/{key}"}
    ttl: 1m
`

func definition(t *testing.T, file string) uint64 {
	t.Helper()
	return parse(t, file).Kind("a").Cache().Definition
}

// edited replaces pairs of texts, each of which must be there.
func edited(t *testing.T, file string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(file, pairs[i]) {
			t.Fatalf("%q is not in the file", pairs[i])
		}
		file = strings.Replace(file, pairs[i], pairs[i+1], 1)
	}
	return file
}

// What a file spells otherwise, and times, are no other definition.
func TestSameDefinition(t *testing.T) {
	want := definition(t, whole)
	for name, pairs := range map[string][]string{
		"read again":        nil,
		"order of topics":   {"{name: t, aliases: [x, y]}, {name: u}", "{name: u}, {name: t, aliases: [x, y]}"},
		"order of aliases":  {"[x, y]", "[y, x]"},
		"order of members":  {"name: t, aliases: [x, y]", "aliases: [x, y], name: t"},
		"order of keys":     {"    class: critical\n", "", "    ttl: 1m\n", "    ttl: 1m\n    class: critical\n"},
		"quotes":            {"event.data.all", `"event.data.all"`},
		"lines":             {"{key: event.data.id, ", "\n      {key:\n         event.data.id,\n       "},
		"comments":          {"class: critical", "class: critical # the class"},
		"ttl":               {"    ttl: 1m", "    ttl: 2m"},
		"negative_ttl":      {"negative_ttl: 1s", "negative_ttl: 2s"},
		"max_stale":         {"max_stale: 1m", "max_stale: 0s"},
		"confirm_after":     {"confirm_after: 1s", "confirm_after: 2s"},
		"default times":     {"    confirm_after: 1s\n", "", "    max_stale: 1m\n", "", "    negative_ttl: 1s\n", ""},
		"place in the file": {"kinds:\n", "kinds:\n" + edited(t, other, "name: u, aliases: [z]", "name: b")},
		"aliases stated by b": {
			"{name: t, aliases: [x, y]}", "{name: t}", "    confirm_after: 1s\n",
			"    confirm_after: 1s\n" + edited(t, other, "name: u, aliases: [z]", "name: t, aliases: [y, x]"),
		},
	} {
		if got := definition(t, edited(t, whole, pairs...)); got != want {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
	}
}

// Whatever else a kind says decides its values: no two of these have the same hash.
func TestOtherDefinitions(t *testing.T) {
	seen := map[uint64]string{definition(t, whole): "the kind itself"}
	check := func(name string, got uint64) {
		if first, ok := seen[got]; ok {
			t.Errorf("%s: the hash of %s", name, first)
		}
		seen[got] = name
	}
	for name, pairs := range map[string][]string{
		"class":            {"critical", "reference"},
		"topic":            {"name: u", "name: v"},
		"a topic less":     {", {name: u}", ""},
		"alias":            {"[x, y]", "[x, z]"},
		"an alias less":    {"[x, y]", "[x]"},
		"alias elsewhere":  {"{name: t, aliases: [x, y]}, {name: u}", "{name: t}, {name: u, aliases: [x, y]}"},
		"alias as a topic": {"aliases: [x, y]}", "aliases: [x]}, {name: y}"},
		"an alias of b's":  {"    confirm_after: 1s\n", "    confirm_after: 1s\n" + other},
		"event key":        {"event.data.id", "event.data.key"},
		"event sets":       {"event.data.all", "event.data.any"},
		"no event sets":    {"sets: event.data.all, ", ""},
		"event value":      {"event.data.v", "event.data.w"},
		"no event value":   {", sets: event.data.all, value: {v: event.data.v, w: event.data.w}", ""},
		"document key":     {"doc.id", "doc.key"},
		"document version": {"doc.version", "doc.revision"},
		"no version":       {"version: doc.version, ", ""},
		"document valid":   {"doc.ok", "doc.fine"},
		"no valid":         {"valid: doc.ok, ", ""},
		"document value":   {"doc.v,", "doc.w,"},
		"whole document":   {", value: {v: doc.v, w: doc.w}", ""},
		"document single":  {"value: {v: doc.v, w: doc.w}", "value: doc.v"},
		"members' order":   {"v: event.data.v, w: event.data.w", "w: event.data.w, v: event.data.v", "v: doc.v, w: doc.w", "w: doc.w, v: doc.v"},
		"members' names":   {"v: event.data.v", "u: event.data.v", "v: doc.v", "u: doc.v"},
		"origin one":       {"/{tenant}/a/{key}", "/{tenant}/b/{key}"},
		"origin list":      {`list: "/{tenant}/a"`, `list: "/{tenant}/b"`},
		"no list":          {`, list: "/{tenant}/a", snapshot: true`, ""},
		"no snapshot":      {", snapshot: true", ""},
		"confirm_after 0s": {"confirm_after: 1s", "confirm_after: 0s"},
	} {
		check(name, definition(t, edited(t, whole, pairs...)))
	}
	check("name", parse(t, edited(t, whole, "name: a", "name: b")).Cache()[0].Definition)
	bare, err := kinds.Parse("k.yaml", []byte(whole), kinds.Options{})
	if err != nil {
		t.Fatal(err)
	}
	check("aliases dropped", bare.Cache()[0].Definition)
}

// Nodes compare hashes, so each process, machine and version must find the same. A
// change of this value says that nodes of the version before exchange nothing with
// those of this one.
func TestDefinitionStays(t *testing.T) {
	const want = 0x49175aeea352210
	if got := preset(t).Kind("credit-config").Cache().Definition; got != want {
		t.Errorf("%#x, want %#x", got, uint64(want))
	}
}
