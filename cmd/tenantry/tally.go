package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenantry/tenantry/shard/kinds"
	"github.com/tenantry/tenantry/subscriber"
)

// Bounds of what a tally keeps, whatever is published.
const (
	// maxTopics are counted apart; the others together.
	maxTopics = 1000
	// maxExample bounds each text of an example, in bytes.
	maxExample = 160
)

// otherTopics is the row of the topics beyond maxTopics.
const otherTopics = "(others)"

// tally counts what is heard, by topic. What is kept does not grow with the
// number of events: an example for each problem of a topic.
type tally struct {
	set       *kinds.Set
	topics    map[string]*topicTally
	sequences subscriber.Sequences
	events    uint64
	breaks    []string
	broken    int
}

// topicTally is a row of the report. An event may count in several columns.
type topicTally struct {
	Topic string   `json:"topic"`
	Kinds []string `json:"kinds"` // none: no kind follows the topic
	// Verdict is refused, ignored, improvable or good.
	Verdict string `json:"verdict"`
	Events  uint64 `json:"events"`
	Bytes   uint64 `json:"bytes"`
	// Refused counts by reason.
	Refused map[string]uint64 `json:"refused"`
	// Provisional set a value without a version.
	Provisional uint64 `json:"provisional"`
	// Invalidating could have carried a value, and did not.
	Invalidating uint64 `json:"invalidating"`
	Unversioned  uint64 `json:"unversioned"`
	// Unsequenced lack source or sequence.
	Unsequenced uint64 `json:"unsequenced"`
	// Gaps are jumps and falls of sequences: doubts.
	Gaps     uint64    `json:"gaps"`
	Advice   []string  `json:"advice"`
	Examples []example `json:"examples"`
}

// example is the first event with a problem.
type example struct {
	Problem string `json:"problem"`
	Channel string `json:"channel"`
	Detail  string `json:"detail,omitempty"`
	Message string `json:"message"`
}

func newTally(set *kinds.Set) *tally { return &tally{set: set, topics: make(map[string]*topicTally)} }

// add counts one message.
func (t *tally) add(h subscriber.Heard, now time.Time) {
	t.events++
	row := t.row(h.Topic)
	row.Events++
	row.Bytes += uint64(len(h.Message))
	for _, gap := range t.sequences.Overdue(now) {
		t.gap(gap)
	}
	if len(row.Kinds) == 0 {
		row.example("ignored", h, "")
		return
	}
	e, err := t.decode(h)
	if refused, ok := errors.AsType[*subscriber.RefusedError](err); ok {
		row.Refused[refused.Reason]++
		row.example(refused.Reason, h, refused.Detail)
		return
	}
	row.accept(h, e, t.set)
	for _, gap := range t.sequences.Take(e, now) {
		t.gap(gap)
	}
}

// decode does what nodes do.
func (t *tally) decode(h subscriber.Heard) (*subscriber.Event, error) {
	if !subscriber.IsTenant(h.Tenant) {
		return nil, &subscriber.RefusedError{Reason: "bad_tenant", Detail: fmt.Sprintf("no node can follow the tenant %.80q", h.Tenant)}
	}
	if len(h.Message) > maxEvent {
		return nil, &subscriber.RefusedError{Reason: "oversized", Detail: fmt.Sprintf("%d bytes", len(h.Message))}
	}
	e, err := subscriber.Decode(h.Tenant, h.Topic, []byte(h.Message))
	if err != nil || e.TenantDeleted {
		return e, err
	}
	e.Changes, err = t.set.Changes(e)
	return e, err
}

// row returns the row of a topic.
func (t *tally) row(topic string) *topicTally {
	if row := t.topics[topic]; row != nil {
		return row
	}
	on := t.set.On(topic)
	if len(t.topics) >= maxTopics && len(on) == 0 {
		if row := t.topics[otherTopics]; row != nil {
			return row
		}
		topic = otherTopics
	}
	row := &topicTally{Topic: shorten(cmp.Or(topic, "(none)")), Kinds: []string{}, Refused: make(map[string]uint64)}
	for _, k := range on {
		row.Kinds = append(row.Kinds, k.Name())
	}
	t.topics[strings.Clone(topic)] = row
	return row
}

// accept counts an event that nodes would apply.
func (r *topicTally) accept(h subscriber.Heard, e *subscriber.Event, set *kinds.Set) {
	if !e.Versioned {
		r.Unversioned++
		r.example("no version", h, "")
	}
	if !e.Sequenced || e.Source == "" {
		r.Unsequenced++
		r.example("no sequence", h, "")
	}
	provisional, invalidating := false, false
	for _, c := range e.Changes {
		k := set.Kind(c.Kind)
		provisional = provisional || c.Effect == subscriber.Set && !e.Versioned && k.Cache().ConfirmAfter > 0
		invalidating = invalidating || c.Effect == subscriber.Invalidate && k.Sets()
	}
	if provisional {
		r.Provisional++
		r.example("provisional", h, "")
	}
	if invalidating {
		r.Invalidating++
		r.example("no value", h, "")
	}
}

// example keeps the first event of each problem.
func (r *topicTally) example(problem string, h subscriber.Heard, detail string) {
	if slices.ContainsFunc(r.Examples, func(e example) bool { return e.Problem == problem }) {
		return
	}
	r.Examples = append(r.Examples, example{problem, shorten(h.Channel), shorten(detail), shorten(h.Message)})
}

// shorten returns a bounded copy.
func shorten(s string) string {
	if len(s) > maxExample {
		return strings.ToValidUTF8(s[:maxExample], "") + "…"
	}
	return strings.Clone(s)
}

func (t *tally) gap(at subscriber.Heard) {
	if row := t.topics[at.Topic]; row != nil {
		row.Gaps++
	}
}

// lost notes a connection that was lost: what was published until the next one
// has not been heard.
func (t *tally) lost(err error) {
	t.sequences.Forget()
	if t.broken++; len(t.breaks) < 5 {
		t.breaks = append(t.breaks, shorten(err.Error()))
	}
}

// checkReport is what events check prints.
type checkReport struct {
	Events uint64 `json:"events"`
	Bytes  uint64 `json:"bytes"`
	// Refused would have been refused, of any topic and for any reason.
	Refused uint64        `json:"refused"`
	Topics  []*topicTally `json:"topics"`
	// Interrupted counts the connections that were lost while listening, and
	// Interruptions tells of the first: events may have been missed.
	Interrupted   int      `json:"interrupted"`
	Interruptions []string `json:"interruptions"`
}

// report judges what was counted: the worst topics first.
func (t *tally) report() *checkReport {
	for _, gap := range t.sequences.Overdue(time.Now()) {
		t.gap(gap)
	}
	r := &checkReport{Events: t.events, Topics: slices.AppendSeq([]*topicTally{}, maps.Values(t.topics)), Interrupted: t.broken, Interruptions: append([]string{}, t.breaks...)}
	for _, row := range r.Topics {
		row.judge()
		r.Bytes += row.Bytes
		r.Refused += row.refused()
	}
	order := []string{"refused", "ignored", "improvable", "good"}
	slices.SortFunc(r.Topics, func(a, b *topicTally) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Verdict), slices.Index(order, b.Verdict)), cmp.Compare(a.Topic, b.Topic))
	})
	return r
}

func (r *topicTally) refused() (n uint64) {
	for _, count := range r.Refused {
		n += count
	}
	return n
}

// judge sets verdict and advice.
func (r *topicTally) judge() {
	r.Advice = []string{}
	advise := func(n uint64, format string) {
		if n > 0 {
			r.Advice = append(r.Advice, fmt.Sprintf(format, n))
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Refused)) {
		advise(r.Refused[reason], "%d refused as "+reason+consequence(reason)+": "+remedy(reason))
	}
	if len(r.Kinds) == 0 {
		advise(r.Events, "no kind has this topic, so no node hears its %d events: correct the name, or give a kind the topic")
	}
	advise(r.Gaps, "%d jumps or falls of a sequence, each a doubt about its tenant: raise sequence by one with each event of a source, tenant and topic, and give each start of a publisher another source")
	advise(r.Provisional, "%d set a value without a version: it is PROVISIONAL, and read from the origin once more. Add version: it rises with each change of the item, and is in its document too")
	advise(r.Invalidating, "%d only invalidate: the next read of the item waits for the origin. Carry the whole value")
	if r.Provisional < r.Unversioned {
		advise(r.Unversioned-r.Provisional, "%d that set no value have no version: with one, an older document of the origin is not kept")
	}
	advise(r.Unsequenced, "%d lack source and sequence: with them, a lost event is noticed with the next one")
	switch {
	case r.refused() > 0:
		r.Verdict = "refused"
	case len(r.Kinds) == 0:
		r.Verdict = "ignored"
	case len(r.Advice) > 0:
		r.Verdict = "improvable"
	default:
		r.Verdict = "good"
	}
}

// consequence says what a refusal leads to on the nodes.
func consequence(reason string) string {
	if reason == "bad_tenant" {
		return ", heard by no node"
	}
	return ", each a doubt about its tenant"
}

// remedy says, of the reason of a refusal, what the publisher is to do.
func remedy(reason string) string {
	switch reason {
	case "bad_key":
		return "a key is 1 to 512 bytes of text without control characters"
	case "bad_tenant":
		return "a tenant is 1 to 64 of letters, digits, '.', '_' and '-'"
	case "foreign_tenant":
		return "tenantId must be the channel's tenant, or be left out"
	case "malformed":
		return "a message is one JSON object in UTF-8, no member of it twice"
	case "no_key":
		return "say in data which item changed"
	case "oversized":
		return "at most 1 MiB; leave the value out"
	case "too_deep":
		return "at most 64 levels"
	}
	return "the example says which member is wrong"
}
