package rpctest

import (
	"context"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/shard"
)

// Solitary is the handoff of a node that is no member of a cluster: nothing moves.
type Solitary struct{}

// Holds returns false.
func (Solitary) Holds(string) bool { return false }

// Sources returns none.
func (Solitary) Sources(string) []shard.Peer { return nil }

// Holders returns none.
func (Solitary) Holders(string) []shard.Peer { return nil }

// Definition returns none.
func (Solitary) Definition(string) (d shard.Definition, ok bool) { return d, false }

// Peek has no answer.
func (Solitary) Peek(string, shard.Definition, string) (a cache.Answer, ok bool) {
	return a, false
}

// Export has nothing.
func (Solitary) Export(context.Context, string, []shard.Definition, int, shard.Receiver) (cache.End, error) {
	return cache.End{}, shard.ErrNotHeld
}

// Fence holds for none.
func (Solitary) Fence(context.Context, []string) ([]string, error) { return nil, nil }

// States says that all are cold.
func (Solitary) States(tenants []string) []shard.State { return make([]shard.State, len(tenants)) }

// TakeOver takes nothing over.
func (Solitary) TakeOver(_ string, tenants []shard.Activity) []shard.State {
	return make([]shard.State, len(tenants))
}

// Tenants has none.
func (Solitary) Tenants(func([]shard.Activity) error) error { return nil }
