package clustertest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxBuffered is the number of bytes a direction of a stream takes before the
// writer waits, as a socket's buffers do.
const maxBuffered = 64 << 10

// stream is one end of a connection. Unlike net.Pipe's, a writer need not wait
// for the reader: memberlist's ends may both write before they read.
type stream struct {
	in, out              *pipe
	local, remote        net.Addr
	readUntil, sendUntil *deadline
	once                 sync.Once
	closed               chan struct{}
}

// newStreams returns both ends of a connection.
func newStreams(a, b *Transport) (near, far *stream) {
	there := newPipe(a, b)
	back := newPipe(b, a)
	return newStream(a, b, back, there), newStream(b, a, there, back)
}

func newStream(local, remote *Transport, in, out *pipe) *stream {
	return &stream{
		in: in, out: out, local: net.TCPAddrFromAddrPort(local.addr), remote: net.TCPAddrFromAddrPort(remote.addr),
		readUntil: newDeadline(), sendUntil: newDeadline(), closed: make(chan struct{}),
	}
}

func (s *stream) Read(b []byte) (int, error) {
	return s.in.read(b, s.readUntil.passed(), s.closed)
}

func (s *stream) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var more int
		more, err = s.out.write(b[n:], s.sendUntil.passed(), s.closed)
		n += more
	}
	return n, err
}

// Close lets the peer read what was written. It may be called more than once.
func (s *stream) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.out.end(func(p *pipe) { p.eof = true })
		s.in.end(func(p *pipe) { p.broken = true })
		s.readUntil.set(time.Time{})
		s.sendUntil.set(time.Time{})
	})
	return nil
}

func (s *stream) LocalAddr() net.Addr  { return s.local }
func (s *stream) RemoteAddr() net.Addr { return s.remote }

func (s *stream) SetDeadline(t time.Time) error {
	s.readUntil.set(t)
	s.sendUntil.set(t)
	return nil
}

func (s *stream) SetReadDeadline(t time.Time) error {
	s.readUntil.set(t)
	return nil
}

func (s *stream) SetWriteDeadline(t time.Time) error {
	s.sendUntil.set(t)
	return nil
}

// pipe is one direction of a connection.
type pipe struct {
	net      *Network
	link     link
	from, to <-chan struct{} // closed when that node is down

	mu  sync.Mutex
	buf []byte
	// eof says that the writer has closed, broken that the reader has.
	eof, broken bool
	// changed is closed, and replaced, when any of these changes.
	changed chan struct{}
}

func newPipe(from, to *Transport) *pipe {
	return &pipe{
		net: from.net, link: link{from.name, to.name}, from: from.down, to: to.down, changed: make(chan struct{}),
	}
}

func (p *pipe) read(b []byte, deadline, closed <-chan struct{}) (n int, err error) {
	err = p.wait(deadline, closed, func(flows bool) (bool, error) {
		if !flows || len(p.buf) == 0 && !p.eof {
			return false, nil
		}
		if len(p.buf) == 0 {
			return true, io.EOF
		}
		n = copy(b, p.buf)
		p.buf = p.buf[n:]
		return true, nil
	})
	return n, err
}

func (p *pipe) write(b []byte, deadline, closed <-chan struct{}) (n int, err error) {
	err = p.wait(deadline, closed, func(bool) (bool, error) {
		if p.broken {
			return true, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
		}
		n = min(len(b), maxBuffered-len(p.buf))
		p.buf = append(p.buf, b[:n]...)
		return n > 0, nil
	})
	return n, err
}

// wait calls try, with the lock held and whether the link lets bytes through,
// until it is done or nothing can come of it.
func (p *pipe) wait(deadline, closed <-chan struct{}, try func(flows bool) (bool, error)) error {
	for {
		select {
		case <-closed:
			return net.ErrClosed
		case <-deadline:
			return os.ErrDeadlineExceeded
		default:
		}
		flows, linkChanged := p.net.flows(p.link)
		done, changed, err := p.try(flows, try)
		if done {
			return err
		}
		select {
		case <-changed:
		case <-linkChanged:
		case <-deadline:
		case <-closed:
		case <-p.from:
			return reset()
		case <-p.to:
			return reset()
		}
	}
}

func (p *pipe) try(flows bool, f func(bool) (bool, error)) (done bool, changed <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done, err = f(flows)
	changed = p.changed
	if done {
		p.signal()
	}
	return done, changed, err
}

func (p *pipe) end(f func(*pipe)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
	p.signal()
}

func (p *pipe) signal() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func reset() error { return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET} }

// deadline is a channel that is closed at a time that may be moved.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	ch    chan struct{}
}

func newDeadline() *deadline { return &deadline{ch: make(chan struct{})} }

func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ch
}

// set moves the deadline to t, also for a call that already waits; zero: never.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.ch // the timer is about to close it
	}
	d.timer = nil
	passed := isClosed(d.ch)
	if passed && (t.IsZero() || time.Until(t) > 0) {
		d.ch = make(chan struct{})
	}
	switch ch := d.ch; {
	case t.IsZero():
	case time.Until(t) > 0:
		d.timer = time.AfterFunc(time.Until(t), func() { close(ch) })
	case !passed:
		close(ch)
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
