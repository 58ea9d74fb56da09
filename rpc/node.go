package rpc

import (
	"context"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// Node is what the edge asks of the node behind it.
type Node interface {
	// Read answers with one entry. An item that does not exist is an answer
	// (Absent), not an error.
	//
	// Errors: *shard.UnknownKindError, shard.ErrTenantLimit, cache.ErrTooOld,
	// *cache.UnavailableError, and those of ctx.
	Read(ctx context.Context, tenant, kind, key string, o cache.ReadOptions) (cache.Answer, error)
	// Now is the clock of [cache.Answer.Position].
	Now() time.Duration
}

// Readiness says whether the node should get requests, with the reasons why not
// or, if it is ready all the same, what is degraded.
type Readiness interface {
	Readiness() (ready bool, reasons, degraded []string)
}

// entry names what is read.
type entry struct{ tenant, kind, key string }
