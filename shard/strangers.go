package shard

import (
	"sync"
	"time"
)

// strangers are the names that the origin does not know as tenants. They are
// not activated until the origin's word has grown old.
type strangers struct {
	mu    sync.Mutex
	until map[string]time.Time
}

const (
	// strangerTTL is how long a name is remembered, as an absence is.
	strangerTTL = 30 * time.Second
	// maxStrangers bounds the names; those beyond are activated and let go.
	maxStrangers = 100_000
)

func (s *strangers) add(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until = make(map[string]time.Time)
	}
	if len(s.until) < maxStrangers {
		s.until[name] = time.Now().Add(strangerTTL)
	}
}

func (s *strangers) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.until[name]
	return ok && time.Now().Before(until)
}

// left returns how long a name is still remembered, 0 if it is not.
func (s *strangers) left(name string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, time.Until(s.until[name]))
}

// forget makes a name unknown again.
func (s *strangers) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.until, name)
}

// sweep forgets the names whose time is over.
func (s *strangers) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, until := range s.until {
		if !now.Before(until) {
			delete(s.until, name)
		}
	}
	if len(s.until) == 0 {
		s.until = nil // a map keeps the room of the most it ever held
	}
}
