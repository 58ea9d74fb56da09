package rpc

import (
	"context"

	"github.com/tenantry/tenantry/cache"
)

// reader reads entries for every service: it checks, authorises and asks the
// node.
type reader struct {
	node  Node
	name  string
	epoch func() uint64
	boot  uint64
	// report looks an error up in the table, and logs what callers do not see.
	report func(error) fault
}

// read reads one entry whose names come from the caller; field is what the
// request calls the key. An absent item is an [*absentError].
func (r *reader) read(ctx context.Context, e entry, field string, b bounds) (cache.Answer, error) {
	if err := e.validate(field); err != nil {
		return cache.Answer{}, err
	}
	if err := allow(ctx, e.tenant, ScopeRead); err != nil {
		return cache.Answer{}, err
	}
	o, err := r.readOptions(e, b.GetMaxAge(), b.GetMinVersion(), b.GetAfter())
	if err != nil {
		return cache.Answer{}, err
	}
	return r.present(ctx, e, o)
}

// present reads an entry that is already checked, and makes absence an error.
func (r *reader) present(ctx context.Context, e entry, o cache.ReadOptions) (cache.Answer, error) {
	a, err := r.node.Read(ctx, e.tenant, e.kind, e.key, o)
	if err == nil && a.Absent {
		err = &absentError{entry: e, freshness: r.freshness(e, &a)}
	}
	return a, err
}
