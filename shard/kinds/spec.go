package kinds

import (
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

// The defaults of what a kind leaves out.
const (
	defaultNegativeTTL       = 30 * time.Second
	defaultMaxStaleCritical  = 5 * time.Minute
	defaultMaxStaleReference = 24 * time.Hour
	defaultConfirmAfter      = 200 * time.Millisecond
)

// fileSpec is a kinds file.
type fileSpec struct {
	Kinds []kindSpec `yaml:"kinds" doc:"the kinds of data"`
}

type kindSpec struct {
	Name         string        `yaml:"name" doc:"the kind's name: letters, digits, '.', '_' and '-', at most 64"`
	Class        string        `yaml:"class" oneof:"critical|reference|on-demand" doc:"how entries are kept and how reads fail"`
	Topics       []topicSpec   `yaml:"topics" doc:"the topics whose events concern the kind"`
	Event        eventSpec     `yaml:"event" doc:"how an event of these topics is read"`
	Document     documentSpec  `yaml:"document" doc:"how an origin document is read"`
	Origin       originSpec    `yaml:"origin" doc:"where the origin has the kind"`
	TTL          time.Duration `yaml:"ttl" min:"1ms" max:"8760h" doc:"how long after it was verified an entry is kept, ± 10 %"`
	NegativeTTL  time.Duration `yaml:"negative_ttl" min:"1ms" max:"8760h" doc:"the same for an absence the origin stated"`
	MaxStale     time.Duration `yaml:"max_stale" min:"0s" max:"8760h" doc:"how long after it was known current an entry may be served STALE"`
	ConfirmAfter time.Duration `yaml:"confirm_after" min:"0s" max:"1m" doc:"from an unversioned event to the read that confirms it"`
}

type topicSpec struct {
	Name    string   `yaml:"name" doc:"the topic"`
	Aliases []string `yaml:"aliases" doc:"other names of the topic"`
}

type eventSpec struct {
	Key   string    `yaml:"key" doc:"the key of the item, over event"`
	Sets  string    `yaml:"sets" doc:"whether the event sets the value; false or an error: it invalidates"`
	Value valueSpec `yaml:"value" doc:"the canonical value, over event; left out: the event invalidates"`
}

type documentSpec struct {
	Key     string    `yaml:"key" doc:"the key of the item, over doc"`
	Version string    `yaml:"version" doc:"the version of the item, over doc"`
	Valid   string    `yaml:"valid" doc:"whether the document is what the kind needs; false or an error: the origin is at fault, and nothing is kept"`
	Value   valueSpec `yaml:"value" doc:"the canonical value, over doc; left out: the whole document"`
}

type originSpec struct {
	One      string `yaml:"one" doc:"the path of an item, with {tenant} and {key}"`
	List     string `yaml:"list" doc:"the path of all items, with {tenant}"`
	Snapshot bool   `yaml:"snapshot" doc:"a list of several pages is one consistent view"`
}

// valueSpec is one expression, or one for each member of an object, in the
// file's order.
type valueSpec struct {
	Single  string
	Members []memberSpec
}

type memberSpec struct{ Name, Expression string }

func (v valueSpec) given() bool { return v.Single != "" || len(v.Members) > 0 }

// DecodeNode implements [strictyaml.NodeDecoder].
func (v *valueSpec) DecodeNode(r *strictyaml.Report, n *yaml.Node, key string) {
	if n.Kind == yaml.ScalarNode {
		v.Single = r.Text(n, key)
		return
	}
	for name, node := range r.Members(n, key) {
		v.Members = append(v.Members, memberSpec{name, r.Text(node, key+"."+name)})
	}
	if len(v.Members) == 0 {
		r.Add(key, "no members; give {name: expression}, or leave the key out")
	}
}
