package shard

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// telling is one word to another owner.
type telling struct {
	from, to string
	tenants  []Activity
	at       time.Duration // since the crew began
}

// mates carries the words of one crew.
type mates struct {
	begun time.Time

	mu    sync.Mutex
	nodes map[string]*Node         // by ID
	way   map[string]time.Duration // to a node, by ID; < 0: nothing arrives
	told  []telling
	// exports are those so far, as "n1 of n2 tenant"; from those that are broken, none
	// comes whole.
	exports []string
	broken  map[string]bool
	down    map[string]bool // by ID: an export of it did not come
}

var errNoWay = errors.New("no way there")

// sender is the colleagues of one node.
type sender struct {
	*mates
	name string
}

func (s sender) Activity(ctx context.Context, to Peer, tenants []Activity) error {
	s.mu.Lock()
	s.told = append(s.told, telling{s.name, to.Name, tenants, time.Since(s.begun)})
	s.mu.Unlock()
	node, err := s.reach(ctx, to)
	if err == nil {
		node.Hear(tenants)
	}
	return err
}

func (s sender) States(ctx context.Context, to Peer, tenants []Activity) ([]State, error) {
	node, err := s.reach(ctx, to)
	if err != nil {
		return nil, err
	}
	return node.TakeOver(s.name, tenants), nil
}

func (s sender) Tenants(ctx context.Context, of Peer, page func([]Activity)) error {
	node, err := s.reach(ctx, of)
	if err != nil {
		return err
	}
	return node.Tenants(func(tenants []Activity) error { page(tenants); return nil })
}

func (s sender) Export(ctx context.Context, from Peer, tenant string, kinds []*cache.Kind, keep func(*cache.Kind, []cache.Handed) error) (cache.End, error) {
	stalled, cancel := context.WithTimeout(ctx, s.patience(from.ID))
	defer cancel()
	node, err := s.reach(stalled, from)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.down[from.ID] = true
		return cache.End{}, err
	}
	s.mu.Lock()
	s.exports = append(s.exports, s.name+" of "+from.Name+" "+tenant)
	broken := s.broken[from.ID]
	s.mu.Unlock()
	wanted := make([]Definition, len(kinds))
	for i, k := range kinds {
		wanted[i] = Definition{k.Name, k.Definition}
	}
	end, err := node.Export(ctx, tenant, wanted, 1000, receiver{kinds, keep})
	if broken && err == nil {
		err = errNoWay
	}
	// The kinds are the receiver's own.
	for i, w := range end.Whole {
		end.Whole[i].Kind = named(kinds, w.Kind.Name)
	}
	for i, k := range end.Kinds {
		end.Kinds[i] = named(kinds, k.Name)
	}
	return end, err
}

// patience is how long a node is waited for that says nothing: it is found to be down
// then.
func (m *mates) patience(id string) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down[id] {
		return 0
	}
	return 2 * time.Second
}

// receiver is keep as an export sees it.
type receiver struct {
	kinds []*cache.Kind
	keep  func(*cache.Kind, []cache.Handed) error
}

func (r receiver) Begin(_ []*cache.Kind, proven bool) error {
	if !proven {
		return ErrUnproven
	}
	return nil
}

func (r receiver) Page(k *cache.Kind, entries []cache.Handed) error {
	return r.keep(named(r.kinds, k.Name), entries)
}

func named(kinds []*cache.Kind, name string) *cache.Kind {
	return kinds[slices.IndexFunc(kinds, func(k *cache.Kind) bool { return k.Name == name })]
}

// reach returns the node that a call reaches, when it has.
func (s sender) reach(ctx context.Context, to Peer) (*Node, error) {
	s.mu.Lock()
	node, way := s.nodes[to.ID], s.way[to.ID]
	s.mu.Unlock()
	switch {
	case node == nil:
		return nil, errNoWay
	case way < 0:
		<-ctx.Done()
		return nil, ctx.Err()
	case way == 0:
		return node, ctx.Err()
	}
	select {
	case <-time.After(way):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return node, nil
}

// words returns what was told so far and forgets it.
func (m *mates) words() []telling { return taken(m, &m.told) }

// exported returns the exports so far and forgets them.
func (m *mates) exported() []string { return taken(m, &m.exports) }

func taken[T any](m *mates, list *[]T) []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := *list
	*list = nil
	return all
}

func (m *mates) delay(id string, way time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.way[id] = way
	delete(m.down, id)
}

// unplug takes a node off, so that whoever tells it is refused at once.
func (m *mates) unplug(id string) (plug func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node := m.nodes[id]
	delete(m.nodes, id)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.nodes[id] = node
	}
}
