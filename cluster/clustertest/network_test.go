package clustertest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const (
	a = "10.0.0.1:7946"
	b = "10.0.0.2:7946"
	c = "[2001:db8::3]:7946"
)

// got returns what a transport has received.
func got(t *Transport) (all string) {
	for {
		select {
		case p := <-t.PacketCh():
			all += string(p.Buf)
		default:
			return all
		}
	}
}

func TestPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork()
		ta, tb, tc := n.NewTransport(a), n.NewTransport(b), n.NewTransport(c)
		send := func(from *Transport, to, text string) {
			t.Helper()
			if _, err := from.WriteTo([]byte(text), to); err != nil {
				t.Error(err)
			}
		}
		want := func(to *Transport, text string) {
			t.Helper()
			if g := got(to); g != text {
				t.Errorf("%s got %q, want %q", to.Addr(), g, text)
			}
		}
		send(ta, b, "1")
		send(tc, b, "2")
		send(ta, "10.0.0.9:1", "nobody")
		want(tb, "12")

		n.Cut([]string{a}, []string{b, c})
		send(ta, b, "lost")
		send(tb, a, "3")
		want(tb, "")
		want(ta, "3")
		n.Mend([]string{a}, []string{b})
		send(ta, b, "4")
		send(ta, c, "lost")
		want(tb, "4")
		n.Partition([]string{a, b}, []string{c})
		send(tc, a, "lost")
		n.Heal()
		send(tc, a, "5")
		want(ta, "5")
		want(tc, "")

		n.Stall(b)
		n.Stall(a)
		send(ta, b, "6")
		send(tb, c, "7")
		n.Resume(a)
		want(tb, "")
		n.Resume(b)
		want(tb, "6")
		want(tc, "7")

		for range 10 * maxQueued {
			send(ta, b, "x")
		}
		if g := len(got(tb)); g != maxQueued {
			t.Errorf("%d packets were kept", g)
		}

		tb.Crash()
		tb.Crash()
		send(ta, b, "lost")
		if _, err := tb.WriteTo(nil, a); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a crashed node's packet: %v", err)
		}
		tb = n.NewTransport(b)
		send(ta, b, "8")
		want(tb, "8")
	})
}

func connect(t *testing.T, from *Transport, to *Transport) (near, far net.Conn) {
	t.Helper()
	near, err := from.DialTimeout(to.Addr(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return near, <-to.StreamCh()
}

func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork()
		ta, tb := n.NewTransport(a), n.NewTransport(c)
		near, far := connect(t, ta, tb)
		if near.RemoteAddr().String() != c || far.RemoteAddr().String() != a || near.LocalAddr().String() != a {
			t.Errorf("addresses %v, %v", near.RemoteAddr(), far.RemoteAddr())
		}
		// Both ends write before they read, more than the buffers hold.
		big := bytes.Repeat([]byte("0123456789"), 100_000)
		done := make(chan error, 4)
		for _, conn := range []net.Conn{near, far} {
			go func() { _, err := conn.Write(big); done <- err }()
			go func() {
				all := make([]byte, len(big))
				_, err := io.ReadFull(conn, all)
				if !bytes.Equal(all, big) {
					err = errors.Join(err, errors.New("other bytes"))
				}
				done <- err
			}()
		}
		for range 4 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}

		_, _ = near.Write([]byte("last"))
		_ = near.Close()
		if all, err := io.ReadAll(far); string(all) != "last" || err != nil {
			t.Errorf("after the close: %q, %v", all, err)
		}
		if _, err := far.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write to a closed end: %v", err)
		}
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read from a closed end: %v", err)
		}
		_ = far.Close()
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork()
		near, far := connect(t, n.NewTransport(a), n.NewTransport(b))
		began := time.Now()
		_ = near.SetDeadline(began.Add(3 * time.Second))
		for _, call := range []func([]byte) (int, error){near.Read, near.Write} {
			if _, err := call(make([]byte, 2*maxBuffered)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		_ = near.SetReadDeadline(time.Time{})
		_ = near.SetWriteDeadline(time.Now())
		go func() {
			time.Sleep(time.Second)
			_ = near.SetReadDeadline(time.Unix(1, 0)) // ends a call that waits
		}()
		began = time.Now()
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		_ = near.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = far.Write([]byte("x"))
		if _, err := near.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		_ = near.Close()
		_ = far.Close()
	})
}

func TestStreamsAndCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork()
		ta, tb := n.NewTransport(a), n.NewTransport(b)
		near, far := connect(t, ta, tb)
		n.Cut([]string{a}, []string{b})
		_, _ = near.Write([]byte("late"))
		go func() {
			time.Sleep(time.Minute)
			n.Heal()
		}()
		began := time.Now()
		if _, err := tb.DialTimeout(a, time.Second); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("dial over a link cut one way: %v", err)
		}
		if _, err := io.ReadFull(far, make([]byte, 4)); err != nil || time.Since(began) != time.Minute {
			t.Errorf("read: %v after %v", err, time.Since(began))
		}
		if _, err := ta.DialTimeout("10.0.0.9:1", time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial where nobody is: %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			ta.Crash()
		}()
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read after the crash: %v", err)
		}
		if _, err := ta.DialTimeout(b, time.Second); err == nil {
			t.Error("a crashed node dialed")
		}
	})
}

func TestAddressInUse(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	n := NewNetwork()
	n.NewTransport(a)
	n.NewTransport(a)
}
