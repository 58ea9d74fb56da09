package kinds

import (
	"errors"
	"maps"
	"slices"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cache/origin"
	"github.com/tenantry/tenantry/subscriber"
)

// Set is the kinds of a node, in the file's order. It implements
// [subscriber.Kinds].
type Set struct {
	kinds    []*Kind
	byTopic  map[string][]*Kind // by every name of the topic
	topics   []string           // sorted
	warnings []string
}

// Kinds returns all kinds. The slice is not to be written to.
func (s *Set) Kinds() []*Kind { return s.kinds }

// Kind returns the kind of that name, or nil.
func (s *Set) Kind(name string) *Kind {
	i := slices.IndexFunc(s.kinds, func(k *Kind) bool { return k.spec.Name == name })
	if i < 0 {
		return nil
	}
	return s.kinds[i]
}

// Cache returns what the cache is built with; an ID is the index.
func (s *Set) Cache() []*cache.Kind {
	all := make([]*cache.Kind, len(s.kinds))
	for i, k := range s.kinds {
		all[i] = k.cache
	}
	return all
}

// Origin returns what the origin reader is built with, on-demand kinds included.
func (s *Set) Origin() []origin.Kind {
	all := make([]origin.Kind, len(s.kinds))
	for i, k := range s.kinds {
		all[i] = origin.Kind{Name: k.spec.Name, One: k.spec.Origin.One, List: k.spec.Origin.List, Document: k}
	}
	return all
}

// Warnings returns what a file may say but its author should know, such as a
// promise it voids, each with its place.
func (s *Set) Warnings() []string { return s.warnings }

// Topics returns the names of every topic, aliases included unless
// [Options.Aliases] drops them, sorted.
func (s *Set) Topics() []string { return s.topics }

// On returns the kinds that events of a topic concern, by any of its names; none
// for an unknown topic. The slice is not to be written to.
func (s *Set) On(topic string) []*Kind { return s.byTopic[topic] }

// Changes returns what the event says of the entries of each kind on its topic.
// A kind whose key the event does not have is not concerned, as long as another
// is. An event that drops the whole tenant changes no single entry. The error is
// always a [*subscriber.RefusedError].
func (s *Set) Changes(e *subscriber.Event) ([]subscriber.Change, error) {
	on := s.byTopic[e.Topic]
	if len(on) == 0 {
		return nil, &subscriber.RefusedError{Reason: "unknown_topic", Detail: "no kind has this topic"}
	}
	if e.TenantDeleted {
		return nil, nil
	}
	m := newEvent(e.Raw)
	changes := make([]subscriber.Change, 0, len(on))
	var missing error
	for _, k := range on {
		c, err := k.change(m, e.Deleted)
		switch {
		case err == nil:
			changes = append(changes, c)
		case errors.Is(err, errMissing):
			missing = refusal(k.spec.Name, err)
		default:
			return nil, refusal(k.spec.Name, err)
		}
	}
	if len(changes) == 0 {
		return nil, missing
	}
	return changes, nil
}

// link fills the topics from the kinds.
func (s *Set) link(aliases map[string][]string, use bool) {
	s.byTopic = map[string][]*Kind{}
	for _, k := range s.kinds {
		for _, t := range k.spec.Topics {
			names := []string{t.Name}
			if use {
				names = append(names, aliases[t.Name]...)
			}
			for _, name := range names {
				s.byTopic[name] = append(s.byTopic[name], k)
			}
		}
	}
	s.topics = slices.Sorted(maps.Keys(s.byTopic))
}
