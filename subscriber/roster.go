package subscriber

import (
	"strings"
	"sync"
)

// roster is what one connection is wanted to follow and what it has been
// commanded to. It outlives the connection's lives: Follow and Unfollow write
// what is wanted, the writer takes the differences, the handler counts the
// replies. A tenant costs its name, a seat and their place in a map: no
// channel names.
type roster struct {
	// channels is the number of channels of a tenant, 1 to maxCommandChannels.
	channels int
	// work pokes the writer, wake the handler.
	work, wake chan<- struct{}

	mu    sync.Mutex
	seats map[string]seat
	// dirty are the tenants whose command may have to be sent; again those
	// whose confirmation is to be repeated. Each tenant is there once at most.
	dirty, again []string
	// awaited is the sum of all pending.
	awaited int
	// unsettled is how many seats have mark set.
	unsettled int
	// calling is the tenant whose confirmation is being handled. Its channels
	// are not commanded meanwhile, so that the confirmation holds while it is
	// being told.
	calling string
}

// seat is a tenant's place on a connection.
type seat struct {
	// pending is how many replies its commands still owe.
	pending int32
	flags   flags
}

type flags uint8

const (
	// wanted: followed.
	wanted flags = 1 << iota
	// asked: the last command was a subscribe.
	asked
	// queued: in dirty.
	queued
	// repeat: in again.
	repeat
	// mark: was wanted when the connection was made and has not been
	// confirmed on it; no proof until there is none.
	mark
)

func (s seat) has(f flags) bool { return s.flags&f != 0 }

// confirmed is C1.
func (s seat) confirmed() bool { return s.pending == 0 && s.has(asked) }

func newRoster(channels int, work, wake chan<- struct{}) *roster {
	return &roster{channels: channels, work: work, wake: wake, seats: make(map[string]seat)}
}

func (r *roster) follow(tenant string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.seats[tenant]
	if !ok {
		tenant = strings.Clone(tenant) // not the request that it was cut out of
	}
	s.flags |= wanted
	if s.confirmed() && !s.has(repeat) {
		s.flags |= repeat
		r.again = append(r.again, tenant)
		poke(r.wake)
	}
	r.seats[tenant] = r.enqueue(tenant, s)
}

func (r *roster) unfollow(tenant string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.seats[tenant]
	if !ok {
		return
	}
	s.flags &^= wanted
	r.put(tenant, r.enqueue(tenant, r.settle(s)))
}

// enqueue puts the tenant on the writer's list if its last command is not what
// is wanted.
func (r *roster) enqueue(tenant string, s seat) seat {
	if s.has(wanted) != s.has(asked) && !s.has(queued) {
		s.flags |= queued
		r.dirty = append(r.dirty, tenant)
		poke(r.work)
	}
	return s
}

// settle takes the seat's mark off.
func (r *roster) settle(s seat) seat {
	if s.has(mark) {
		s.flags &^= mark
		r.unsettled--
	}
	return s
}

// put stores a seat, or frees it once nothing is left of it.
func (r *roster) put(tenant string, s seat) {
	if s.pending == 0 && s.flags == 0 {
		delete(r.seats, tenant)
		return
	}
	r.seats[tenant] = s
}

// reset starts a life: nothing is subscribed, and everything wanted is to be,
// before any proof.
func (r *roster) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.seats
	r.seats = make(map[string]seat, len(old))
	r.dirty, r.again, r.awaited = nil, nil, 0
	for tenant, s := range old {
		if s.has(wanted) {
			r.seats[tenant] = seat{flags: wanted | queued | mark}
			r.dirty = append(r.dirty, tenant)
		}
	}
	r.unsettled = len(r.seats)
	poke(r.work)
}

// command is what the writer sends next: the tenants of both lists together
// have at most maxCommandChannels channels.
type command struct{ subscribe, unsubscribe []string }

// next returns the next command, already counted as sent, or false if nothing
// is to be done now: work is poked when there is.
func (r *roster) next() (command, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var c command
	room := maxCommandChannels / r.channels
	for n := len(r.dirty); n > 0 && room > 0 && r.awaited < replyWindow; n-- {
		tenant := r.dirty[0]
		r.dirty = r.dirty[1:]
		if tenant == r.calling {
			r.dirty = append(r.dirty, tenant)
			continue
		}
		if r.take(tenant, &c) {
			room--
		}
	}
	return c, len(c.subscribe)+len(c.unsubscribe) > 0
}

// take adds what a dirty tenant needs to the command.
func (r *roster) take(tenant string, c *command) bool {
	s := r.seats[tenant]
	s.flags &^= queued
	differs := s.has(wanted) != s.has(asked)
	if differs {
		s.flags ^= asked
		s.pending += int32(r.channels)
		r.awaited += r.channels
		if s.has(asked) {
			c.subscribe = append(c.subscribe, tenant)
		} else {
			c.unsubscribe = append(c.unsubscribe, tenant)
		}
	}
	r.put(tenant, s)
	return differs
}

// reply counts a subscription reply. It is not ok if nobody asked for it. If
// confirmed is set, the caller tells so, and then calls told.
func (r *roster) reply(tenant string) (confirmed, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, found := r.seats[tenant]
	if !found || s.pending == 0 {
		return false, false
	}
	s.pending--
	if r.awaited--; r.awaited == replyWindow-1 {
		poke(r.work)
	}
	if s.confirmed() {
		s = r.settle(s)
		confirmed = s.has(wanted)
	}
	r.put(tenant, s)
	if confirmed {
		r.calling = tenant
	}
	return confirmed, true
}

// repeated returns the next tenant whose confirmation is to be told again; the
// caller tells it, and then calls told.
func (r *roster) repeated() (tenant string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.again) > 0 && !ok {
		tenant, r.again = r.again[0], r.again[1:]
		s := r.seats[tenant]
		s.flags &^= repeat
		ok = s.confirmed() && s.has(wanted)
		r.put(tenant, s)
	}
	if ok {
		r.calling = tenant
	}
	return tenant, ok
}

// told ends what reply or repeated began.
func (r *roster) told() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calling = ""
	if len(r.dirty) > 0 {
		poke(r.work)
	}
}

func (r *roster) follows(tenant string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seats[tenant].has(wanted)
}

// settled says whether each tenant that was wanted when the connection was
// made has been confirmed on it.
func (r *roster) settled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unsettled == 0
}

// len returns the number of tenants wanted, or still being left.
func (r *roster) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seats)
}
