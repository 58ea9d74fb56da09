package peers

import (
	"time"

	"connectrpc.com/connect"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// outcome is what came of a question.
type outcome struct {
	from   int // which owner was asked
	answer Answer
	// deferred says that the node has to read the origin for it.
	deferred bool
	err      error
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
