package subscriber

import (
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

const (
	// reorderTime is how long a missing number may still come (C5).
	reorderTime = 200 * time.Millisecond
	// window is how many numbers of a source are remembered: a repeated event
	// is recognized, and a missing one may come, among the last 64. A power of
	// two, so that it divides the numbers.
	window = 64
	// maxSources bounds the sources watched on a channel; the least recently
	// used is forgotten, and begins anew if it comes back.
	maxSources = 16
	// maxStreams bounds the sources watched on a connection, counted on each
	// channel (some 40 MB); beyond, any channel is forgotten.
	maxStreams = 1 << 17
)

// trace is what is remembered of a number: one of these, or a hash of its event.
type trace uint16

const (
	missing    trace = iota // has not come, and may yet
	abandoned               // has not come, and was doubted for
	firstTrace              // the lowest of a hash
)

func traceOf(message []byte) trace {
	return firstTrace + trace(xxhash.Sum64(message)%(1<<16-uint64(firstTrace)))
}

// stream is the sequence of one source on one channel.
type stream struct {
	source      string
	first, last uint64        // the lowest and the highest number since it began
	traces      [window]trace // of the numbers up to last, by their remainder
}

// begin starts over at a number, whatever was before.
func (s *stream) begin(n uint64, t trace) {
	s.first, s.last = n, n
	s.traces[n%window] = t
}

// take notes a number. It is not ok if something was lost for certain: a number
// that is too far ahead, one that another event had, or one of before the
// beginning. ahead is set if numbers between the last one and this are missing
// and may yet come.
func (s *stream) take(n uint64, t trace) (ahead, ok bool) {
	switch {
	case n > s.last && n-s.last > window:
	case n > s.last:
		ahead = n-s.last > 1
		return ahead, s.advance(n, t)
	case n < s.first || s.last-n >= window:
	default:
		if at := &s.traces[n%window]; *at < firstTrace || *at == t {
			*at = t // late, or repeated
			return false, true
		}
	}
	s.begin(n, t)
	return false, false
}

// advance moves the window up to n. It is not ok if a missing number falls out.
func (s *stream) advance(n uint64, t trace) (ok bool) {
	ok = true
	for s.last != n {
		s.last++
		at := &s.traces[s.last%window]
		if s.last-s.first >= window && *at == missing {
			ok = false
		}
		*at = missing
	}
	s.traces[n%window] = t
	if !ok {
		s.abandon()
	}
	return ok
}

// lacks says whether a number from first to last is missing.
func (s *stream) lacks(first, last uint64) bool {
	for n := first; n != last+1; n++ {
		if n >= s.first && n <= s.last && s.last-n < window && s.traces[n%window] == missing {
			return true
		}
	}
	return false
}

// abandon waits for missing numbers no longer: they have been doubted for.
func (s *stream) abandon() {
	for i := range s.traces {
		if s.traces[i] == missing {
			s.traces[i] = abandoned
		}
	}
}

// place is a channel's tenant and topic.
type place struct{ tenant, topic string }

// wait is a gap in a stream that may yet be filled.
type wait struct {
	place
	stream      *stream
	first, last uint64
	due         time.Time
}

// sequences watches the numbers of the events of one connection's life. Its
// zero value is ready. It belongs to the handler's goroutine.
type sequences struct {
	streams map[place][]*stream // the most recently used first
	count   int                 // of streams, on all channels
	waits   []wait              // in the order of due
}

// take notes an event's number and says whether something was lost for certain.
// An event without a source, or without a number, has no sequence.
func (q *sequences) take(e *Event, now func() time.Time) (ok bool) {
	if !e.Sequenced || e.Source == "" {
		return true
	}
	at, t := place{e.Tenant, e.Topic}, traceOf(e.Raw)
	s, known := q.stream(at, e.Source)
	if !known {
		s.begin(e.Sequence, t)
		return true
	}
	before := s.last
	ahead, ok := s.take(e.Sequence, t)
	if ahead && ok {
		q.waits = append(q.waits, wait{at, s, before + 1, e.Sequence - 1, now().Add(reorderTime)})
	}
	return ok
}

// stream returns the stream of a source, made if it was not known.
func (q *sequences) stream(at place, source string) (s *stream, known bool) {
	streams := q.streams[at]
	i := slices.IndexFunc(streams, func(s *stream) bool { return s.source == source })
	if known = i >= 0; known {
		s = streams[i]
		copy(streams[1:], streams[:i])
		streams[0] = s
		return s, true
	}
	return q.add(at, source), false
}

// add makes room for a source, and begins it.
func (q *sequences) add(at place, source string) *stream {
	if q.count >= maxStreams {
		q.forgetAny()
	}
	if q.streams == nil {
		q.streams = make(map[place][]*stream)
	}
	s, old := &stream{source: source}, q.streams[at]
	kept := old[:min(len(old), maxSources-1)]
	q.streams[at] = append([]*stream{s}, kept...)
	q.count += 1 + len(kept) - len(old)
	return s
}

// overdue takes the first gap whose time is over and that was not filled.
func (q *sequences) overdue(now time.Time) (at place, ok bool) {
	for len(q.waits) > 0 && !now.Before(q.waits[0].due) {
		w := q.waits[0]
		q.waits = q.waits[1:]
		if w.stream.lacks(w.first, w.last) {
			w.stream.abandon()
			return w.place, true
		}
	}
	return place{}, false
}

// due returns when the first gap's time is over; not ok if there is none.
func (q *sequences) due() (at time.Time, ok bool) {
	if len(q.waits) == 0 {
		return time.Time{}, false
	}
	return q.waits[0].due, true
}

// open reports whether a number is missing that may yet come.
func (q *sequences) open() bool {
	return slices.ContainsFunc(q.waits, func(w wait) bool { return w.stream.lacks(w.first, w.last) })
}

// forget begins a channel anew: what was missing has been doubted for.
func (q *sequences) forget(at place) {
	if len(q.streams) == 0 {
		return
	}
	for _, s := range q.streams[at] {
		s.abandon()
	}
	q.drop(at)
}

// forgetAll begins every channel anew.
func (q *sequences) forgetAll() { *q = sequences{} }

func (q *sequences) forgetAny() {
	for at := range q.streams {
		q.drop(at) // what is missing is still waited for
		return
	}
}

func (q *sequences) drop(at place) {
	q.count -= len(q.streams[at])
	delete(q.streams, at)
}

// Sequences watches the numbers of events as nodes do, for who listens. The zero
// value is ready; it is not safe for concurrent use.
type Sequences struct{ sequences sequences }

// Take notes an event that was received at the given time. It returns the
// tenants and topics that a node would doubt since the last call, at most one
// for each event taken.
func (s *Sequences) Take(e *Event, now time.Time) (doubted []Heard) {
	if !s.sequences.take(e, func() time.Time { return now }) {
		doubted = append(doubted, Heard{Tenant: e.Tenant, Topic: e.Topic})
	}
	return append(doubted, s.Overdue(now)...)
}

// Overdue returns what a node would doubt because of what has not come by now.
func (s *Sequences) Overdue(now time.Time) (doubted []Heard) {
	for at, ok := s.sequences.overdue(now); ok; at, ok = s.sequences.overdue(now) {
		doubted = append(doubted, Heard{Tenant: at.tenant, Topic: at.topic})
	}
	return doubted
}

// Forget begins everything anew, as a lost connection does.
func (s *Sequences) Forget() { s.sequences.forgetAll() }
