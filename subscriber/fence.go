package subscriber

import (
	"context"
	"errors"
	"sync"
)

// ErrNotLive says that a connection is not live, or was lost before the fence: what
// it has handled says nothing of what was published. Ask again when it is live.
var ErrNotLive = errors.New("the bus connection is not live")

// Fence returns when everything that the server had received on a connection before
// the call has been handled (C7): when a PING with a token of its own has come back
// through the queue of the events. A doubt in between is told to the handler before
// Fence returns. Errors: [ErrNotLive], or that of ctx.
//
// Fences that are asked for while one is under way share the next.
func (s *Subscriber) Fence(ctx context.Context, conn int) error {
	c := s.conns[conn]
	l := c.current.Load()
	if l == nil || !c.status().Live {
		return ErrNotLive
	}
	if fenceless() {
		return nil
	}
	f := l.fences.join()
	poke(l.fences.asked)
	select {
	case <-f:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ended:
		return ErrNotLive
	}
}

// fences are those of a life: one under way, and one that is to be sent when that is
// back.
type fences struct {
	// asked pokes the sender of PINGs.
	asked chan struct{}

	mu   sync.Mutex
	next chan struct{} // closed when it has held; nil: nobody asks for one
	sent chan struct{} // the one under way; nil: none is
}

// join returns the fence that is to be sent next.
func (f *fences) join() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		f.next = make(chan struct{})
	}
	return f.next
}

// depart takes the fence to be sent now, nil if there is none.
func (f *fences) depart() chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sent != nil {
		return nil
	}
	f.sent, f.next = f.next, nil
	return f.sent
}

// held ends the fence under way.
func (f *fences) held(fence chan struct{}) {
	if fence == nil {
		return
	}
	close(fence)
	f.mu.Lock()
	f.sent = nil
	f.mu.Unlock()
	poke(f.asked)
}
