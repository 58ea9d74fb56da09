package ring

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Settings){
		"":                                      func(*Settings) {},
		"0 partitions; 1 to 65536 are possible": func(s *Settings) { s.Partitions = 0 },
		"65537 partitions; 1 to 65536 are possible": func(s *Settings) { s.Partitions = 65537 },
		"0 virtual nodes; 1 to 1000 are possible":   func(s *Settings) { s.VirtualNodes = 0 },
		"a load of 1; 1.01 to 10 are possible":      func(s *Settings) { s.Load = 1 },
		"a load of NaN; 1.01 to 10 are possible":    func(s *Settings) { s.Load = math.NaN() },
		"a load of +Inf; 1.01 to 10 are possible":   func(s *Settings) { s.Load = math.Inf(1) },
		"11 replicas; 1 to 10 are possible":         func(s *Settings) { s.Replicas = 11 },
	} {
		s := usual
		change(&s)
		got := ""
		if err := s.Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
		_, err := NewBuilder(s)
		if _, shared := NewShared(s); (err == nil) != (want == "") || (shared == nil) != (want == "") {
			t.Errorf("%+v: %v, %v", s, err, shared)
		}
	}
}

// The algorithm is short and tells apart what must not mix, and no more.
func TestAlgorithm(t *testing.T) {
	if got, want := usual.Algorithm(), "consistent-1.1+1/xxhash64/4099/100/1.25"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	rapid.Check(t, func(r *rapid.T) {
		a, b := drawSettings(r), drawSettings(r)
		if n := len(a.Algorithm()); n > 64 {
			r.Errorf("%q has %d bytes", a.Algorithm(), n)
		}
		b.Replicas = a.Replicas
		if (a.Algorithm() == b.Algorithm()) != (a == b) {
			r.Errorf("%+v has %q, %+v %q", a, a.Algorithm(), b, b.Algorithm())
		}
	})
	longest := Settings{Partitions: 65536, VirtualNodes: 1000, Load: 1.0123456789012347}
	if n := len(longest.Algorithm()); n > 64 {
		t.Errorf("%q has %d bytes", longest.Algorithm(), n)
	}
}

// Whatever decides a ring changes its epoch; names cannot run into one another.
func TestEpoch(t *testing.T) {
	seen := map[uint64]string{}
	see := func(what string, s Settings, members ...Member) {
		epoch := scratch(t, s, members).Epoch()
		if other, again := seen[epoch]; again || epoch == 0 {
			t.Errorf("%s and %s have the epoch %d", what, other, epoch)
		}
		seen[epoch] = what
	}
	s := Settings{Partitions: 7, VirtualNodes: 3, Load: 1.25, Replicas: 2}
	see("nobody", s)
	see("a", s, Member{Name: "a"})
	see("a in b", s, Member{"a", "b"})
	see("a and b", s, Member{Name: "a"}, Member{Name: "b"})
	see("ab", s, Member{Name: "ab"})
	see("a and one without a name", s, Member{Name: "a"}, Member{})
	s.Replicas = 3
	see("three replicas", s, Member{Name: "a"})
	s.Replicas, s.Load = 2, 1.5
	see("another load", s, Member{Name: "a"})
}
