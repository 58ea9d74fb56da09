package kinds

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/cel-go/cel"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

// maxKinds bounds a file.
const maxKinds = 256

// Options say how a file is read.
type Options struct {
	// Aliases keeps the topics' aliases; without it they are all dropped.
	Aliases bool
}

//go:embed crm.yaml
var crm []byte

// Preset returns a built-in set; there is one, "crm".
func Preset(name string, o Options) (*Set, error) {
	if name != "crm" {
		return nil, fmt.Errorf("no preset %.70q; there is crm", name)
	}
	return Parse("crm.yaml (built in)", crm, o)
}

// Parse reads a kinds file; file names it in messages. A file with mistakes gives
// a [*strictyaml.MistakesError] with all of them, each with its line and key.
func Parse(file string, data []byte, o Options) (*Set, error) {
	var spec fileSpec
	p, err := newParser(strictyaml.Decode(file, data, &spec))
	if err != nil {
		return nil, err
	}
	set := p.set(spec.Kinds)
	if err := p.r.Err(); err != nil {
		return nil, err
	}
	set.link(p.aliases(), o.Aliases)
	for _, k := range set.kinds {
		k.cache.Definition = definition(&k.spec, p.aliases(), o.Aliases)
	}
	return set, nil
}

// parser checks and compiles what a file says.
type parser struct {
	r          *strictyaml.Report
	event, doc *language
	names      map[string]string // kind → its key in the file
	topics     map[string]*topic
	warnings   []string
}

func newParser(r *strictyaml.Report) (*parser, error) {
	event, err := newLanguage(overEvent)
	if err != nil {
		return nil, err
	}
	doc, err := newLanguage(overDoc)
	if err != nil {
		return nil, err
	}
	return &parser{r: r, event: event, doc: doc, names: map[string]string{}, topics: map[string]*topic{}}, nil
}

func (p *parser) set(specs []kindSpec) *Set {
	s := &Set{}
	switch {
	case len(specs) == 0 && p.r.Err() == nil:
		p.r.Add("kinds", "no kinds; give at least one")
	case len(specs) > maxKinds:
		p.r.Add("kinds", "%d kinds; at most %d", len(specs), maxKinds)
		return s
	}
	for i := range specs {
		s.kinds = append(s.kinds, p.kind(i, &specs[i]))
	}
	p.checkAliases()
	s.warnings = p.warnings
	return s
}

func (p *parser) kind(id int, spec *kindSpec) *Kind {
	at := strictyaml.Index("kinds", id)
	p.check(at, spec)
	p.defaults(at, spec)
	k := &Kind{spec: *spec, cache: cacheKind(id, spec)}
	k.event.key = p.expression(at+".event.key", p.event, spec.Event.Key, cel.StringType)
	k.event.sets = p.expression(at+".event.sets", p.event, spec.Event.Sets, cel.BoolType)
	k.event.value = p.value(at+".event.value", p.event, spec.Event.Value)
	k.document.key = p.expression(at+".document.key", p.doc, spec.Document.Key, cel.StringType)
	k.document.version = p.expression(at+".document.version", p.doc, spec.Document.Version, cel.UintType, cel.IntType)
	k.document.valid = p.expression(at+".document.valid", p.doc, spec.Document.Valid, cel.BoolType)
	k.document.value = p.value(at+".document.value", p.doc, spec.Document.Value)
	p.warn(at, spec)
	return k
}

func cacheKind(id int, spec *kindSpec) *cache.Kind {
	return &cache.Kind{
		ID: id, Name: spec.Name, Class: classOf(spec.Class),
		TTL: spec.TTL, NegativeTTL: spec.NegativeTTL, MaxStale: spec.MaxStale, ConfirmAfter: spec.ConfirmAfter,
		Listed: spec.Origin.List != "", Snapshot: spec.Origin.Snapshot,
	}
}

func classOf(name string) cache.Class {
	for _, c := range []cache.Class{cache.Critical, cache.Reference, cache.OnDemand} {
		if c.String() == name {
			return c
		}
	}
	return cache.OnDemand // a mistake that has been reported
}

// defaults sets what a kept kind leaves out.
func (p *parser) defaults(at string, spec *kindSpec) {
	class := classOf(spec.Class)
	if class == cache.OnDemand {
		return
	}
	stale := defaultMaxStaleReference
	if class == cache.Critical {
		stale = defaultMaxStaleCritical
	}
	p.orElse(at+".negative_ttl", &spec.NegativeTTL, defaultNegativeTTL)
	p.orElse(at+".max_stale", &spec.MaxStale, stale)
	p.orElse(at+".confirm_after", &spec.ConfirmAfter, defaultConfirmAfter)
}

func (p *parser) orElse(key string, d *time.Duration, otherwise time.Duration) {
	if !p.r.Given(key) {
		*d = otherwise
	}
}

func (p *parser) value(key string, l *language, spec valueSpec) *value {
	if !spec.given() {
		return nil
	}
	if spec.Single != "" {
		return &value{single: p.expression(key, l, spec.Single)}
	}
	v := &value{}
	for _, m := range spec.Members {
		name, _ := json.Marshal(m.Name)
		from := p.expression(key+"."+m.Name, l, m.Expression)
		v.members = append(v.members, memberOf{string(name) + ":", from})
	}
	return v
}

// expression compiles a text, nil if it was left out.
func (p *parser) expression(key string, l *language, text string, want ...*cel.Type) *expression {
	if text == "" {
		if p.r.Given(key) && !p.r.Bad(key) {
			p.r.Add(key, "an empty expression; give one over %s, or leave the key out", l.over)
		}
		return nil
	}
	e, err := l.compile(text, want...)
	if err != nil {
		p.r.Add(key, "expression: %v", err)
	}
	return e
}
