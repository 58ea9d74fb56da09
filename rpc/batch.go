package rpc

import (
	"context"
	"runtime/debug"
	"strconv"
	"time"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// maxBatchBytes bounds the values of one BatchGet together; the results of the
// items beyond it are resource_exhausted.
const maxBatchBytes = 32 << 20

// batch is one BatchGet in work. Results and freshness are each one allocation.
type batch struct {
	*reader
	request *tenantryv1.BatchGetRequest
	now     time.Time
	results []tenantryv1.BatchGetResult
	fresh   []freshness
}

func (s *cacheService) BatchGet(ctx context.Context, req *tenantryv1.BatchGetRequest) (*tenantryv1.BatchGetResponse, error) {
	if err := checkBatch(ctx, req); err != nil {
		return nil, err
	}
	n := len(req.GetItems())
	b := &batch{
		reader: s.reader, request: req, now: time.Now(),
		results: make([]tenantryv1.BatchGetResult, n), fresh: make([]freshness, n),
	}
	spread(n, func(i int) { b.read(ctx, i) })
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return b.response(), nil
}

// checkBatch checks what concerns all items.
func checkBatch(ctx context.Context, req *tenantryv1.BatchGetRequest) error {
	if err := validateTenant("tenant", req.GetTenant()); err != nil {
		return err
	}
	if len(req.GetItems()) > MaxBatchItems {
		return &fieldError{"items", "more than " + strconv.Itoa(MaxBatchItems)}
	}
	if age := req.GetMaxAge(); age != nil {
		if _, err := maxAge(age); err != nil {
			return err
		}
	}
	return allow(ctx, req.GetTenant(), ScopeRead)
}

// read fills result i. A panic stays with its item: helpers have nobody above
// them to recover it.
func (b *batch) read(ctx context.Context, i int) {
	defer func() {
		if p := recover(); p != nil {
			b.fail(i, &panicError{p, debug.Stack()})
		}
	}()
	if err := b.readItem(ctx, i); err != nil {
		b.fail(i, err)
	}
}

func (b *batch) readItem(ctx context.Context, i int) error {
	item := b.request.GetItems()[i]
	e := entry{b.request.GetTenant(), item.GetKind(), item.GetKey()}
	if err := e.validateItem("key"); err != nil {
		return err
	}
	age := item.GetMaxAge()
	if age == nil {
		age = b.request.GetMaxAge()
	}
	o, err := b.readOptions(e, age, item.GetMinVersion(), item.GetAfter())
	if err != nil {
		return err
	}
	a, err := b.node.Read(ctx, e.tenant, e.kind, e.key, o)
	if err != nil {
		return err
	}
	result := &b.results[i]
	result.Freshness = b.fresh[i].fill(b.boot, e, &a, b.now)
	if a.Absent {
		return &absentError{entry: e}
	}
	result.Value = a.Value
	return nil
}

// fail gives result i an error, beside the freshness that an absence has.
func (b *batch) fail(i int, err error) {
	r := &b.results[i]
	r.Value, r.Error = nil, b.report(err).batchError()
}

func (b *batch) response() *tenantryv1.BatchGetResponse {
	results := make([]*tenantryv1.BatchGetResult, len(b.results))
	bytes := 0
	for i := range b.results {
		results[i] = &b.results[i]
		if bytes += len(results[i].Value); bytes > maxBatchBytes && results[i].Error == nil {
			b.results[i].Freshness = nil
			b.fail(i, &limitError{"32 MiB of values in a batch"})
		}
	}
	return &tenantryv1.BatchGetResponse{Results: results, Node: b.name, Epoch: b.epoch()}
}
