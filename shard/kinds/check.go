package kinds

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

// check reports what a kind says wrongly, and where it contradicts itself.
func (p *parser) check(at string, spec *kindSpec) {
	p.checkName(at, spec.Name)
	p.checkPath(at+".origin.one", spec.Origin.One, true)
	p.checkPath(at+".origin.list", spec.Origin.List, false)
	p.need(at+".origin.one", "the path of an item, such as /api/tenants/{tenant}/things/{key}")
	if !p.r.Given(at + ".class") {
		p.r.Add(at+".class", "missing; critical, reference or on-demand")
	}
	if p.r.Bad(at + ".class") {
		return
	}
	for i := range spec.Topics {
		p.topic(at, i, spec)
	}
	if spec.Class == cache.OnDemand.String() {
		p.checkOnDemand(at)
		return
	}
	p.need(at+".ttl", "how long entries are kept, such as 5m")
	p.checkEvent(at, spec)
	p.checkCanonical(at, spec)
	p.checkList(at, spec)
}

func (p *parser) need(key, what string) {
	if !p.r.Given(key) {
		p.r.Add(key, "missing; give %s", what)
	}
}

func (p *parser) checkName(at, name string) {
	key := at + ".name"
	if !p.r.Given(key) {
		p.r.Add(key, "missing; give the kind's name")
		return
	}
	if p.r.Bad(key) {
		return
	}
	if wrong := checkName(name); wrong != "" {
		p.r.Add(key, "%s", wrong)
	}
	if first, ok := p.names[name]; ok {
		p.r.Add(key, "%s is already the name of the kind at %s; names are unique", name, p.r.Place(first))
		return
	}
	p.names[name] = key
}

// checkOnDemand refuses what only makes sense for what is kept.
func (p *parser) checkOnDemand(at string) {
	for _, key := range []string{"topics", "event", "document", "ttl", "negative_ttl", "max_stale", "confirm_after", "origin.list", "origin.snapshot"} {
		if p.r.Given(at + "." + key) {
			p.r.Add(at+"."+key, "contradicts class on-demand, whose values are never kept; leave it out")
		}
	}
}

func (p *parser) checkEvent(at string, spec *kindSpec) {
	switch {
	case len(spec.Topics) > 0:
		p.need(at+".event.key", "where the events of the topics have the key, such as event.data.id")
	case p.r.Given(at + ".event"):
		p.r.Add(at+".event", "the kind has no topics, so that no event comes; give topics or leave it out")
	case spec.Class == cache.Critical.String() && !p.r.Bad(at+".topics"):
		p.r.Add(at+".topics", "missing; critical kinds are pushed by events (otherwise the class is reference)")
	}
	if p.r.Given(at+".event.sets") && !p.r.Given(at+".event.value") {
		p.r.Add(at+".event.sets", "there is no value that it could set; give event.value or leave it out")
	}
}

// checkCanonical refuses an event and a document that map to objects with other
// members: what a read returns would depend on which of them came last.
func (p *parser) checkCanonical(at string, spec *kindSpec) {
	event, document := spec.Event.Value.Members, spec.Document.Value.Members
	if len(event) == 0 || len(document) == 0 {
		return
	}
	same := func(a, b memberSpec) bool { return a.Name == b.Name }
	if !slices.EqualFunc(event, document, same) {
		p.r.Add(at+".event.value", "has other members than document.value; both give the one canonical value, with the same members in the same order")
	}
}

func (p *parser) checkList(at string, spec *kindSpec) {
	switch {
	case p.r.Given(at + ".origin.list"):
		p.need(at+".document.key", "where the documents of a list have the key, such as doc.id")
	case spec.Origin.Snapshot:
		p.r.Add(at+".origin.snapshot", "there is no list that could be a snapshot; give origin.list or leave it out")
	}
}

// checkPath refuses path templates that do not say what they need to, or could
// lead elsewhere.
func (p *parser) checkPath(key, path string, one bool) {
	if !p.r.Given(key) || p.r.Bad(key) {
		return
	}
	bare := strings.NewReplacer("{tenant}", "", "{key}", "").Replace(path)
	switch {
	case !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//"):
		p.r.Add(key, "%.80q is no path; it starts with one /", path)
	case strings.ContainsAny(bare, "{}"):
		p.r.Add(key, "%.80q has an unknown placeholder; there are {tenant} and {key}", path)
	case one && strings.Count(path, "{key}") != 1:
		p.r.Add(key, "%.80q does not have {key} once; the path of an item does", path)
	case !one && strings.Contains(path, "{key}"):
		p.r.Add(key, "%.80q has {key}; the path of a list does not", path)
	case strings.Count(path, "{tenant}") > 1:
		p.r.Add(key, "%.80q has {tenant} more than once", path)
	case !safePath(path):
		p.r.Add(key, "%.80q has dot segments, spaces, a query or bad escapes; plain path segments are needed", path)
	}
}

// safePath says whether every segment stays one segment whatever its
// placeholders become.
func safePath(path string) bool {
	for segment := range strings.SplitSeq(path[1:], "/") {
		if segment == "{tenant}" || segment == "{key}" {
			continue
		}
		bare := strings.NewReplacer("{tenant}", "", "{key}", "").Replace(segment)
		text, err := url.PathUnescape(bare)
		if err != nil || strings.Trim(text, ".") == "" && text != "" || strings.ContainsAny(bare, "?#\\;") || strings.Contains(text, "/") {
			return false
		}
		if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f && c < 0xa0 || c == '\ufffd' }) {
			return false
		}
	}
	return true
}

// topic is what the kinds of a file say of one topic.
type topic struct {
	key     string // where it was first named
	aliases []string
	stated  string // where the aliases stand
}

func (p *parser) topic(at string, i int, spec *kindSpec) {
	t := &spec.Topics[i]
	key := strictyaml.Index(at+".topics", i)
	if !p.r.Given(key + ".name") {
		p.r.Add(key+".name", "missing; give the topic's name")
		return
	}
	p.topicName(key+".name", t.Name)
	for j := range i {
		if spec.Topics[j].Name == t.Name {
			p.r.Add(key+".name", "%s is already a topic of this kind; name it once", t.Name)
		}
	}
	known := p.topics[t.Name]
	if known == nil {
		known = &topic{key: key + ".name"}
		p.topics[t.Name] = known
	}
	if p.r.Given(key + ".aliases") {
		p.state(known, key+".aliases", t.Aliases)
	}
}

func (p *parser) topicName(key, name string) {
	if p.r.Bad(key) {
		return
	}
	if wrong := checkName(name); wrong != "" {
		p.r.Add(key, "%s", wrong)
	}
}

// state records the aliases of a topic; a kind that leaves them out means those
// that another states.
func (p *parser) state(t *topic, key string, aliases []string) {
	for j, alias := range aliases {
		at := strictyaml.Index(key, j)
		p.topicName(at, alias)
		if slices.Contains(aliases[:j], alias) {
			p.r.Add(at, "%s stands here twice; name it once", alias)
		}
	}
	if t.stated == "" {
		t.stated, t.aliases = key, slices.Clone(aliases)
		return
	}
	if !slices.Equal(slices.Sorted(slices.Values(t.aliases)), slices.Sorted(slices.Values(aliases))) {
		p.r.Add(key, "contradicts %s, which gives the topic other aliases; give the same, or none here", p.r.Place(t.stated))
	}
}

// checkAliases refuses an alias that names two topics.
func (p *parser) checkAliases() {
	of := map[string]string{} // alias → topic
	for _, name := range slices.Sorted(maps.Keys(p.topics)) {
		t := p.topics[name]
		for j, alias := range t.aliases {
			at := strictyaml.Index(t.stated, j)
			if other, ok := p.topics[alias]; ok {
				p.r.Add(at, "%s is itself the topic at %s; an alias names no topic of its own", alias, p.r.Place(other.key))
			}
			if first, ok := of[alias]; ok && first != name {
				p.r.Add(at, "%s is already an alias of the topic %s; an alias names one topic", alias, first)
			}
			of[alias] = name
		}
	}
}

func (p *parser) aliases() map[string][]string {
	all := map[string][]string{}
	for name, t := range p.topics {
		all[name] = slices.Sorted(slices.Values(t.aliases))
	}
	return all
}
