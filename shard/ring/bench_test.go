package ring

import (
	"fmt"
	"testing"
)

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10, 100} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			ring := scratch(b, usual, nodes(n))
			tenants := manyTenants(1 << 14)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if len(ring.Lookup(tenants[i&(1<<14-1)])) != 2 {
					b.Fatal("not two owners")
				}
			}
		})
	}
}

// BenchmarkRing builds a ring with exact successors: anew, and when one member
// came or went since the last.
func BenchmarkRing(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		for _, replicas := range []int{2, 3} {
			s := usual
			s.Replicas = replicas
			name := fmt.Sprintf("members=%d/replicas=%d/", n, replicas)
			b.Run(name+"anew", func(b *testing.B) {
				for b.Loop() {
					scratch(b, s, nodes(n))
				}
			})
			b.Run(name+"one", func(b *testing.B) {
				builder := newBuilder(b, s)
				builder.Build(nodes(n))
				for i := 0; b.Loop(); i++ {
					builder.Build(nodes(n)[:n-(i+1)%2])
				}
			})
		}
	}
}

// BenchmarkSuccessors asks for a third owner where there are two: the first time.
func BenchmarkSuccessors(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			ring := scratch(b, usual, nodes(n))
			for b.Loop() {
				ring.succeed(4098, ring.Owners(4098), 3)
			}
		})
	}
}
