package peers

import (
	"context"
	"errors"
	"sync"
	"time"

	"connectrpc.com/connect"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/shard"
)

const (
	// recallTimeout is how long a call that is answered from memory may take: what
	// takes longer comes from a node that is down, or stopped.
	recallTimeout = 300 * time.Millisecond
	// maxReads is how many reads share a call, as the protocol says.
	maxReads = 1000
	// maxWaiting bounds the reads that wait for a node. It answers hundreds of
	// thousands a second, so that those beyond it wait for one that does not.
	maxWaiting = 20_000
)

var (
	errDown    = errors.New("the node does not answer")
	errWaiting = errors.New("too many reads wait for the node")
	errEnded   = errors.New("this node is about to end")
	errAnswer  = errors.New("the node's answer is not one")
)

// lane is the way to one node.
type lane struct {
	*Peers
	peer   shard.Peer
	client tenantryv1connect.PeerServiceClient
	health health
	usedAt time.Time // guarded by the mutex of Peers
	// refused is done when an operator has been told that the node refuses this one.
	refused sync.Once

	mu      sync.Mutex
	waiting []question
	calls   int // in flight
}

// question is a read that waits for the answer of a node.
type question struct {
	read *tenantryv1.PeerRead
	from int
	to   chan<- outcome // has room
}

// outcome is what came of a question.
type outcome struct {
	from   int // which owner was asked
	answer Answer
	// deferred says that the node has to read the origin for it.
	deferred bool
	err      error
}

func newLane(p *Peers, to shard.Peer) *lane {
	l := &lane{Peers: p, peer: to}
	l.client = tenantryv1connect.NewPeerServiceClient(p.http, to.URL, p.options(&to)...)
	l.health.init()
	return l
}

// recall asks for an answer from memory, with what else waits for this node.
func (l *lane) recall(q question) {
	l.mu.Lock()
	if len(l.waiting) >= maxWaiting {
		l.mu.Unlock()
		q.to <- outcome{from: q.from, err: errWaiting}
		return
	}
	l.waiting = append(l.waiting, q)
	begin := l.calls < l.cfg.Calls
	if begin {
		l.calls++
	}
	l.mu.Unlock()
	if begin && !l.run(l.send) {
		l.failWaiting(errEnded)
	}
}

// take takes the questions of the next call; without any, a call has ended.
func (l *lane) take() []question {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.waiting), maxReads)
	if n == 0 {
		l.calls--
		return nil
	}
	taken := l.waiting[:n:n]
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	return taken
}

// send calls until nothing waits. What waits when the node is found to be down does
// not have to find that out by itself.
func (l *lane) send() {
	for questions := l.take(); questions != nil; questions = l.take() {
		if l.health.up() {
			l.call(questions)
		} else {
			l.fail(questions, errDown)
		}
	}
}

// failWaiting is send where no call can be made.
func (l *lane) failWaiting(err error) {
	for questions := l.take(); questions != nil; questions = l.take() {
		l.fail(questions, err)
	}
}

func (l *lane) call(questions []question) {
	reads := make([]*tenantryv1.PeerRead, len(questions))
	for i := range questions {
		reads[i] = questions[i].read
	}
	ctx, cancel := context.WithTimeout(l.ctx, recallTimeout)
	defer cancel()
	start := time.Now()
	res, err := l.get(ctx, reads, true)
	if err != nil {
		l.failedFor(reads, err)
		l.fail(questions, err)
		return
	}
	took := time.Since(start)
	l.health.answered(took)
	l.metrics.shared.Observe(float64(len(questions)))
	for i, q := range questions {
		q.to <- l.outcome(q.from, res, i, took)
	}
}

// get calls the node, whose answer has as many results as there are reads.
func (l *lane) get(ctx context.Context, reads []*tenantryv1.PeerRead, noWait bool) (*tenantryv1.PeerServiceGetResponse, error) {
	res, err := l.client.Get(ctx, &tenantryv1.PeerServiceGetRequest{Node: l.cfg.Self, Epoch: l.cfg.Epoch(), Reads: reads, NoWait: noWait})
	if err == nil && len(res.GetResults()) != len(reads) {
		return nil, errAnswer
	}
	return res, err
}

func (l *lane) outcome(from int, res *tenantryv1.PeerServiceGetResponse, i int, took time.Duration) outcome {
	r := res.GetResults()[i]
	switch {
	case r.GetDeferred():
		return outcome{from: from, deferred: true}
	case !isAnswer(r.GetResult()):
		return outcome{from: from, err: errAnswer}
	}
	return outcome{from: from, answer: Answer{Result: r.GetResult(), Node: res.GetNode(), Epoch: res.GetEpoch(), Took: took}}
}

// isAnswer reports whether a result says what it must: an error, or how fresh the
// answer is; an absence has both.
func isAnswer(r *tenantryv1.BatchGetResult) bool {
	if e := r.GetError(); e != nil && e.GetCode() != connect.CodeNotFound.String() {
		return true
	}
	state, source := r.GetFreshness().GetState(), r.GetFreshness().GetSource()
	return state >= tenantryv1.Freshness_FRESH && state <= tenantryv1.Freshness_STALE &&
		source >= tenantryv1.Freshness_MEMORY && source <= tenantryv1.Freshness_ORIGIN
}

func (l *lane) fail(questions []question, err error) {
	for _, q := range questions {
		q.to <- outcome{from: q.from, err: err}
	}
}

// wait asks for an answer that needs the origin, in a call of its own. It ends with
// ctx, or when the node does not answer pings.
func (l *lane) wait(ctx context.Context, q question) {
	if !l.run(func() { q.to <- l.waited(ctx, q) }) {
		q.to <- outcome{from: q.from, err: errEnded}
	}
}

func (l *lane) waited(ctx context.Context, q question) outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	down := l.watch()
	defer l.unwatch()
	defer context.AfterFunc(down, cancel)()
	start := time.Now()
	res, err := l.get(ctx, []*tenantryv1.PeerRead{q.read}, false)
	switch {
	case err != nil && down.Err() != nil:
		return outcome{from: q.from, err: errDown}
	case err != nil:
		return outcome{from: q.from, err: err}
	}
	o := l.outcome(q.from, res, 0, time.Since(start))
	switch {
	case o.deferred:
		o = outcome{from: q.from, err: errAnswer}
	case o.err == nil && !passing(o.answer.Result.GetError()):
		l.health.waited(o.answer.Took)
	}
	return o
}
