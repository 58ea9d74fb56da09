package peers

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"time"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/shard"
)

const (
	// recallTimeout is how long a call that is answered from memory may take: what
	// takes longer comes from a node that is down, or stopped.
	recallTimeout = 300 * time.Millisecond
	// lateAfter is when a call is late, so that another may begin: several times what
	// one takes, in a network that nodes should be in.
	lateAfter = time.Millisecond
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
	header http.Header // of calls from memory
	health health
	peeks  peeks
	usedAt time.Time // guarded by the mutex of Peers
	// refused is done when an operator has been told that the node refuses this one.
	refused sync.Once

	mu      sync.Mutex
	waiting []question
	calls   int         // in flight
	begun   time.Time   // the last of them
	late    *time.Timer // looks whether it is late; nil: nobody looks
}

// question is a read that waits for the answer of a node.
type question struct {
	read *tenantryv1.PeerRead
	from int
	to   chan<- outcome // has room
}

func newLane(p *Peers, to shard.Peer) *lane {
	l := &lane{Peers: p, peer: to, header: http.Header{"Content-Type": {contentType}}}
	mark{p.cfg.Self, p.secretOf(&to)}.set(l.header)
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
	begin := l.begin()
	l.mu.Unlock()
	if begin {
		l.call()
	}
}

// begin reports whether another call is to begin: if there is none, or if the last one
// is late. Otherwise what waits shares the next one, which costs both nodes less; and
// somebody looks whether the last one becomes late. Callers hold mu.
func (l *lane) begin() bool {
	if l.calls >= l.cfg.Calls {
		return false
	}
	left := lateAfter - time.Since(l.begun)
	if l.calls == 0 || left <= 0 {
		l.calls++
		return true
	}
	if l.late == nil {
		l.late = time.AfterFunc(left, l.look)
	}
	return false
}

// look begins another call if the last one is late.
func (l *lane) look() {
	l.mu.Lock()
	l.late = nil
	begin := len(l.waiting) > 0 && l.begin()
	l.mu.Unlock()
	if begin {
		l.call()
	}
}

func (l *lane) call() {
	if !l.run(l.send) {
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
	l.begun = time.Now()
	taken := l.waiting[:n:n]
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	return taken
}

// send calls until nothing waits. What waits when the node is found to be down does
// not have to find that out by itself. Who is about to ask goes first, and shares the
// call: with 16 callers reads take a tenth less time.
func (l *lane) send() {
	runtime.Gosched()
	for questions := l.take(); questions != nil; questions = l.take() {
		if l.health.up() {
			l.ask(questions)
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

func (l *lane) ask(questions []question) {
	reads := make([]*tenantryv1.PeerRead, len(questions))
	for i := range questions {
		reads[i] = questions[i].read
	}
	ctx, cancel := context.WithTimeout(l.ctx, recallTimeout)
	defer cancel()
	start := time.Now()
	res, err := l.remember(ctx, reads)
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

func (l *lane) fail(questions []question, err error) {
	for _, q := range questions {
		q.to <- outcome{from: q.from, err: err}
	}
}
