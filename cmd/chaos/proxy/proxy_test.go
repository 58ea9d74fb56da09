package proxy_test

import (
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantry/tenantry/cmd/chaos/proxy"
)

// echo starts a server that sends back what it is sent.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func start(t *testing.T) (*proxy.Proxy, net.Conn) {
	p, err := proxy.Start(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, dial(t, p)
}

func dial(t *testing.T, p *proxy.Proxy) net.Conn {
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// sends sends a text and returns how much of it came back within the time.
func sends(c net.Conn, text string, within time.Duration) string {
	if text != "" {
		if _, err := io.WriteString(c, text); err != nil {
			return err.Error()
		}
	}
	c.SetReadDeadline(time.Now().Add(within))
	got := make([]byte, 64)
	n, _ := io.ReadAtLeast(c, got, max(len(text), 1))
	return string(got[:n])
}

const (
	short = 50 * time.Millisecond
	long  = 10 * time.Second
)

func TestPasses(t *testing.T) {
	here := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, here) })
	_, c := start(t)
	if got := sends(c, "hello", long); got != "hello" {
		t.Fatalf("got %q", got)
	}
}

func TestFrozenIsSilentAndDeliversLater(t *testing.T) {
	p, c := start(t)
	sends(c, "hello", long)
	for _, f := range []proxy.Fault{{FreezeDown: true}, {FreezeUp: true}} {
		p.Set(f)
		if got := sends(c, "frozen", short); got != "" {
			t.Fatalf("got %q while frozen", got)
		}
		later := dial(t, p)
		if got := sends(later, "frozen", short); got != "" {
			t.Fatalf("got %q on a connection accepted while frozen", got)
		}
		p.Set(proxy.Fault{})
		if got := sends(later, "", long); got != "frozen" {
			t.Fatalf("got %q after the thaw", got)
		}
		if got := sends(c, "", long); got != "frozen" {
			t.Fatalf("got %q after the thaw", got)
		}
	}
}

func TestCutClosesAndRefuses(t *testing.T) {
	p, c := start(t)
	sends(c, "hello", long)
	p.Set(proxy.Fault{Cut: true})
	for _, c := range []net.Conn{c, dial(t, p)} {
		c.SetReadDeadline(time.Now().Add(long))
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("a cut connection is open")
		}
	}
	p.Set(proxy.Fault{})
	if got := sends(dial(t, p), "hello", long); got != "hello" {
		t.Fatalf("got %q after the cut", got)
	}
}

func TestDelayKeepsTheOrder(t *testing.T) {
	p, c := start(t)
	p.Set(proxy.Fault{Delay: short})
	begin := time.Now()
	io.WriteString(c, "a")
	if got := sends(c, "b", long); got != "ab" && got != "a" {
		t.Fatalf("got %q", got)
	}
	if took := time.Since(begin); took < 2*short {
		t.Fatalf("took %v, less than a delay in each direction", took)
	}
}

func TestDropAfter(t *testing.T) {
	p, c := start(t)
	p.Set(proxy.Fault{DropAfter: 4})
	io.WriteString(c, "hello")
	c.SetReadDeadline(time.Now().Add(long))
	if got, _ := io.ReadAll(c); string(got) != "hell" {
		t.Fatalf("got %q", got)
	}
}

func TestSorts(t *testing.T) {
	p, ordinary := start(t)
	bus := dial(t, p)
	subscribe := "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nx\r\n"
	if got := sends(bus, subscribe, long); got != subscribe {
		t.Fatalf("got %q", got)
	}
	sends(ordinary, "hello", long)
	p.Set(proxy.Fault{Sort: proxy.PubSub, FreezeDown: true})
	if got := sends(bus, "x", short); got != "" {
		t.Fatalf("the frozen sort got %q", got)
	}
	if got := sends(ordinary, "x", long); got != "x" {
		t.Fatalf("the other sort got %q", got)
	}
}

func TestDeafLeavesMessagesOut(t *testing.T) {
	p, bus := start(t)
	const (
		subscribe = "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nx\r\n"
		message   = ">3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$2\r\nhi\r\n"
		pong      = "+PONG\r\n"
	)
	if got := sends(bus, subscribe, long); got != subscribe {
		t.Fatalf("got %q", got)
	}
	if got := sends(bus, message, long); got != message {
		t.Fatalf("got %q before the fault", got)
	}
	p.Set(proxy.Fault{Deaf: true})
	io.WriteString(bus, message[:20])
	io.WriteString(bus, message[20:])
	if got := sends(bus, pong, long); got != pong {
		t.Fatalf("got %q while deaf", got)
	}
	p.Set(proxy.Fault{})
	if got := sends(bus, message, long); got != message {
		t.Fatalf("got %q after the fault", got)
	}
}
