package subscriber

import "sync"

// item is what the reader passes to the handler.
type item struct {
	what    what
	channel string
	payload string
	// size is the length of a payload that was too large to keep.
	size int
}

type what uint8

const (
	itemMessage what = iota
	itemOversized
	itemSubscribed
	itemUnsubscribed
	itemPong
	itemBeat
	// itemGap stands where messages were dropped.
	itemGap
)

// itemBytes is an item's own size.
const itemBytes = 64

func (i *item) bytes() int { return itemBytes + len(i.channel) + len(i.payload) }

// bounded says whether the item counts against the bounds of messages. The
// others are bounded by what was asked for: replies by replyWindow, PONGs by
// the PINGs outstanding; beats share their reserve.
func (i *item) bounded() bool { return i.what == itemMessage || i.what == itemOversized }

// controlReserve bounds the items that are not messages.
const controlReserve = 2 * replyWindow

// takeBatch is how many items the handler takes at a time, and thus how finely
// the room they leave is given back.
const takeBatch = 256

// queue carries the items of one life from its reader to its handler, in
// order. Neither side ever waits for the other while it holds the lock.
type queue struct {
	maxItems, maxBytes int
	// wake has room for one poke, sent when the queue has something to say.
	wake chan<- struct{}

	mu      sync.Mutex
	in, out []item // out[pos:] comes before in
	pos     int
	batch   []item // handed out by the last take, still counted
	items   int    // messages
	bytes   int    // of messages
	control int
	closed  bool
}

// push appends an item, or reports false if there is no room for it. A message
// without room leaves a gap at its place: the order of the drops and of what is
// kept is the order of arrival. Gaps in a row are one, so there are never more
// of them than items that were kept, plus one.
func (q *queue) push(i item) bool {
	q.mu.Lock()
	kept := q.fits(&i)
	if kept {
		q.count(&i, 1)
		q.in = append(q.in, i)
	} else if i.bounded() && (len(q.in) == 0 || q.in[len(q.in)-1].what != itemGap) {
		q.in = append(q.in, item{what: itemGap})
	}
	q.mu.Unlock()
	poke(q.wake)
	return kept
}

func (q *queue) fits(i *item) bool {
	if !i.bounded() {
		return q.control < controlReserve
	}
	return q.items < q.maxItems && q.bytes+i.bytes() <= q.maxBytes
}

func (q *queue) count(i *item, sign int) {
	switch {
	case i.bounded():
		q.items += sign
		q.bytes += sign * i.bytes()
	case i.what != itemGap:
		q.control += sign
	}
}

// take returns the next items, which are valid until the next take, and
// whether more may come. It does not wait.
func (q *queue) take() (batch []item, open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.batch {
		q.count(&q.batch[i], -1)
	}
	clear(q.batch)
	if q.pos == len(q.out) {
		q.in, q.out, q.pos = reuse(q.out), q.in, 0
	}
	end := min(q.pos+takeBatch, len(q.out))
	q.batch, q.pos = q.out[q.pos:end], end
	return q.batch, !q.closed
}

// reuse returns the emptied slice, unless a burst has made it large.
func reuse(items []item) []item {
	if cap(items) > 16*takeBatch {
		return nil
	}
	return items[:0]
}

// close says that nothing will be pushed any more.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	poke(q.wake)
}

// poke leaves a message on a channel of capacity 1, unless there is one.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
