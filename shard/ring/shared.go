package ring

import (
	"context"
	"slices"
	"sync"
)

// keptRings is how many rings a [Shared] keeps: nodes of one process differ in
// what they have heard, but not by much.
const keptRings = 8

// Shared makes each ring once for all nodes of a process, and keeps the last
// eight asked for. It is safe for concurrent use.
type Shared struct {
	settings Settings
	turn     chan struct{} // holds a token while somebody builds
	builder  *Builder

	mu   sync.Mutex
	kept []*Ring // the last asked for at the end
}

// NewShared returns a Shared of rings with the given settings. An error is that of
// [Settings.Validate].
func NewShared(s Settings) (*Shared, error) {
	b, err := NewBuilder(s)
	if err != nil {
		return nil, err
	}
	return &Shared{settings: s, turn: make(chan struct{}, 1), builder: b}, nil
}

// Ring returns the ring of the members as [Builder.Build] does. Callers take turns
// to build, and who finds the ring built takes it. An error is that of ctx, which
// ended before the caller's turn came.
func (s *Shared) Ring(ctx context.Context, members []Member) (*Ring, error) {
	members = sorted(members)
	epoch := epochOf(s.settings, members)
	if r := s.find(epoch); r != nil {
		return r, nil
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.turn }()
	if r := s.find(epoch); r != nil {
		return r, nil
	}
	r := s.builder.build(members, epoch)
	s.keep(r)
	return r, nil
}

// find returns the ring of an epoch if it is kept, and keeps it longest.
func (s *Shared) find(epoch uint64) *Ring {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.kept, func(r *Ring) bool { return r.epoch == epoch })
	if i < 0 {
		return nil
	}
	r := s.kept[i]
	s.kept = append(slices.Delete(s.kept, i, i+1), r)
	return r
}

func (s *Shared) keep(r *Ring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == keptRings {
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	s.kept = append(s.kept, r)
}
