package rpc

import (
	"context"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// maxBatchBytes bounds the values of one BatchGet together; the results of the
// items beyond it are resource_exhausted.
const (
	maxBatchBytes = 32 << 20
	batchLimit    = "32 MiB of values in a batch"
)

// batch is one BatchGet in work. Results and freshness are each one allocation.
type batch struct {
	*reader
	request *tenantryv1.BatchGetRequest
	now     time.Time
	results []tenantryv1.BatchGetResult
	fresh   []freshness
	by      atomic.Pointer[remote] // another node that answered; nil: none did
	held    atomic.Int64           // bytes of the values of others
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
	if s.peers == nil || s.node.Owns(req.GetTenant()) {
		spread(n, func(i int) { b.read(ctx, i) })
	} else {
		together(n, func(i int) { b.read(ctx, i) }) // so that they share calls
	}
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

// caught, deferred, makes a panic an error of one item: helpers have nobody above
// them to recover it.
func (r *reader) caught(fail func(error)) {
	if p := recover(); p != nil {
		fail(&panicError{p, debug.Stack()})
	}
}

// read fills result i.
func (b *batch) read(ctx context.Context, i int) {
	defer b.caught(func(err error) { b.fail(i, err) })
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
	l, err := limitsOf(e, age, item.GetMinVersion(), item.GetAfter())
	if err != nil {
		return err
	}
	a, err := b.find(ctx, e, &l)
	if err != nil {
		return err
	}
	if a.remote != nil {
		b.by.Store(a.remote)
		if b.held.Add(int64(len(a.Value))) > maxBatchBytes { // this node's own values take no memory of the batch's
			return &limitError{batchLimit}
		}
	}
	return b.fill(&b.results[i], &b.fresh[i], e, &a, b.now)
}

// fill makes a result of an answer. An absence has its freshness too.
func (r *reader) fill(result *tenantryv1.BatchGetResult, f *freshness, e entry, a *found, now time.Time) error {
	result.Freshness = f.fill(r.boot, e, a, now)
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
			b.fail(i, &limitError{batchLimit})
		}
	}
	node, epoch := b.answeredBy(b.by.Load())
	return &tenantryv1.BatchGetResponse{Results: results, Node: node, Epoch: epoch}
}
