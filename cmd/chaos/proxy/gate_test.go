package proxy_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantry/tenantry/cmd/chaos/proxy"
)

// callers know of streams by their first byte who they are from, of datagrams by the
// port that they come from.
type callers struct {
	mu    sync.Mutex
	ports map[string]string
}

func (c *callers) stream(conn net.Conn) (string, []byte, bool) {
	b := make([]byte, 1)
	_, err := io.ReadFull(conn, b)
	return string(b), b, err == nil && string(b) != "?"
}

func (c *callers) datagram(from net.Addr) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name, ok := c.ports[from.String()]
	return name, ok
}

// socket opens one that sends to the gate as a caller.
func (c *callers) socket(t *testing.T, g *proxy.Gate, name string) net.Conn {
	s, err := net.Dial("udp", g.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ports[s.LocalAddr().String()] = name
	return s
}

// gate is in front of a server.
func gate(t *testing.T, target string) (*proxy.Gate, *callers) {
	c := &callers{ports: make(map[string]string)}
	g, err := proxy.OpenGate(target, proxy.Callers{Stream: c.stream, Datagram: c.datagram})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g, c
}

func call(t *testing.T, g *proxy.Gate) net.Conn {
	c, err := net.Dial("tcp", g.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestGateCutsOneCaller(t *testing.T) {
	here := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, here) })
	g, _ := gate(t, echo(t))
	a, b := call(t, g), call(t, g)
	for _, c := range []struct {
		conn net.Conn
		text string
	}{{a, "a says hello"}, {b, "b says hello"}} {
		if got := sends(c.conn, c.text, long); got != c.text {
			t.Fatalf("got %q, sent %q", got, c.text)
		}
	}
	g.Set("a", proxy.Fault{Cut: true})
	again := call(t, g)
	io.WriteString(again, "a")
	for _, cut := range []net.Conn{a, again} {
		cut.SetReadDeadline(time.Now().Add(long))
		if n, err := cut.Read(make([]byte, 1)); err == nil {
			t.Fatalf("the cut caller got %d bytes", n)
		}
	}
	if got := sends(b, "still there", long); got != "still there" {
		t.Fatalf("the other caller got %q", got)
	}
}

func TestGateKnowsNobody(t *testing.T) {
	g, _ := gate(t, echo(t))
	c := call(t, g)
	io.WriteString(c, "? hello")
	c.SetReadDeadline(time.Now().Add(long))
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatalf("got %d bytes", n)
	}
}

func TestGateFreezesStreams(t *testing.T) {
	g, _ := gate(t, echo(t))
	a := call(t, g)
	sends(a, "a", long)
	g.Set("a", proxy.Fault{FreezeUp: true, FreezeDown: true})
	if got := sends(a, "frozen", short); got != "" {
		t.Fatalf("got %q while frozen", got)
	}
	g.Set("a", proxy.Fault{})
	if got := sends(a, "", long); got != "frozen" {
		t.Fatalf("got %q after the thaw", got)
	}
}

// A gate ends although somebody has connected and says nothing.
func TestGateEndsWithGuests(t *testing.T) {
	here := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, here) })
	g, _ := gate(t, echo(t))
	call(t, g)
	sends(call(t, g), "a", long)
}

// arrives reads the next datagram.
func arrives(t *testing.T, s net.PacketConn, within time.Duration) string {
	b := make([]byte, 64)
	s.SetReadDeadline(time.Now().Add(within))
	n, _, err := s.ReadFrom(b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

func TestGateDatagrams(t *testing.T) {
	target, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	g, c := gate(t, target.LocalAddr().String())
	a, b, nobody := c.socket(t, g, "a"), c.socket(t, g, "b"), call(t, g)
	io.WriteString(nobody, "?")
	for _, step := range []struct {
		what  string
		fault proxy.Fault
		from  net.Conn
		want  string
		in    time.Duration
	}{
		{"passes", proxy.Fault{}, a, "passes", long},
		{"cut", proxy.Fault{Cut: true}, a, "", short},
		{"of another", proxy.Fault{Cut: true}, b, "of another", long},
		{"after the cut", proxy.Fault{}, a, "after the cut", long},
		{"frozen", proxy.Fault{FreezeUp: true, FreezeDown: true}, a, "", short},
		{"second", proxy.Fault{}, a, "frozen", long}, // in their order
	} {
		g.Set("a", step.fault)
		io.WriteString(step.from, step.what)
		if got := arrives(t, target, step.in); got != step.want {
			t.Fatalf("%s: got %q, want %q", step.what, got, step.want)
		}
	}
	if got := arrives(t, target, long); got != "second" {
		t.Fatalf("got %q, want second", got)
	}
	g.Set("a", proxy.Fault{Delay: short})
	begin := time.Now()
	io.WriteString(a, "late")
	if got, took := arrives(t, target, long), time.Since(begin); got != "late" || took < short {
		t.Fatalf("got %q after %v", got, took)
	}
}
