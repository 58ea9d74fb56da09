package kinds

import (
	"errors"
	"time"

	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// The names of what an expression is over.
const (
	overEvent = "event"
	overDoc   = "doc"
)

// limits bound what the evaluations over one message may cost; over them, they
// fail.
type limits struct {
	// values is how many values the message may hold, nested ones included: an
	// expression that only asks for the type of a list makes all of it.
	values int
	// time is for all evaluations that loop together. Counting their cost
	// (cel.CostLimit) would not do: it is quadratic in the number of rounds.
	time time.Duration
}

// An event is anyone's to write, and handled by the one goroutine that handles
// all events of its connection: 10,000 values looked at once take 5 ms there.
// The origin's documents are mapped by the goroutines that read them.
const (
	maxEventValues    = 10_000
	maxEventTime      = 10 * time.Millisecond
	maxDocumentValues = 100_000
	maxDocumentTime   = time.Second
)

// message is what expressions are evaluated over: an event's or a document's
// text. It decodes what evaluations ask for, once; for one goroutine.
type message struct {
	over   string
	raw    []byte
	limits limits
	root   ref.Val
	values crowd
	ends   time.Time
}

// crowd says whether a message holds more values than its limit.
type crowd int

const (
	uncounted crowd = iota
	few
	many
)

// errCrowded fails the evaluations over a message with too many values.
var errCrowded = errors.New("too many values to look at")

func newEvent(raw []byte) *message {
	return &message{over: overEvent, raw: raw, limits: limits{maxEventValues, maxEventTime}}
}

func newDocument(raw []byte) *message {
	return &message{over: overDoc, raw: raw, limits: limits{maxDocumentValues, maxDocumentTime}}
}

func (m *message) crowded() bool {
	if m.values == uncounted {
		m.values = few
		if crowded(m.raw, m.limits.values) {
			m.values = many
		}
	}
	return m.values == many
}

// deadline is when the evaluations that loop end, counted from the first.
func (m *message) deadline() time.Time {
	if m.ends.IsZero() {
		m.ends = time.Now().Add(m.limits.time)
	}
	return m.ends
}

// ResolveName implements [interpreter.Activation].
func (m *message) ResolveName(name string) (any, bool) {
	if name != m.over {
		return nil, false
	}
	if m.root == nil {
		m.root = valueOf(m.raw)
	}
	return m.root, true
}

// Parent implements [interpreter.Activation].
func (m *message) Parent() interpreter.Activation { return nil }
