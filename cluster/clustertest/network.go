package clustertest

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Bounds: a packet over them is dropped.
const (
	maxQueued = 1024 // packets a node has not taken yet
	maxHeld   = 4096 // packets that wait for stalled nodes
)

// Network connects transports. Make it inside the bubble, with [NewNetwork].
type Network struct {
	mu         sync.Mutex
	transports map[string]*Transport
	cut        map[link]bool
	stalled    map[string]bool
	held       []packet
	// changed is closed, and replaced, when a link changes.
	changed chan struct{}
}

type link struct{ from, to string }

type packet struct {
	link
	payload []byte
}

// NewNetwork returns a network without nodes. All links are whole.
func NewNetwork() *Network {
	return &Network{
		transports: make(map[string]*Transport), cut: make(map[link]bool), stalled: make(map[string]bool),
		changed: make(chan struct{}),
	}
}

// NewTransport returns a transport at addr, an IP address and a port that no
// other transport has at present. It panics if that is not so.
func (n *Network) NewTransport(addr string) *Transport {
	at := netip.MustParseAddrPort(addr)
	t := &Transport{
		net: n, addr: at, name: at.String(),
		packets: make(chan *memberlist.Packet, maxQueued), streams: make(chan net.Conn, maxQueued), down: make(chan struct{}),
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.transports[t.name] != nil {
		panic(fmt.Sprintf("clustertest: the address %s is in use", addr))
	}
	n.transports[t.name] = t
	return t
}

// Cut loses what nodes of from send to nodes of to; the other direction stays
// as it is.
func (n *Network) Cut(from, to []string) { n.set(true, from, to) }

// Partition cuts all links between the nodes of a and those of b.
func (n *Network) Partition(a, b []string) {
	n.set(true, a, b)
	n.set(true, b, a)
}

// Mend takes back Cut and Partition for the links between a and b.
func (n *Network) Mend(a, b []string) {
	n.set(false, a, b)
	n.set(false, b, a)
}

// Heal makes all links whole.
func (n *Network) Heal() {
	n.change(func() { clear(n.cut) })
}

// Stall holds back what the node sends and gets, until Resume.
func (n *Network) Stall(addr string) {
	n.change(func() { n.stalled[addr] = true })
}

// Resume delivers what Stall has held back.
func (n *Network) Resume(addr string) {
	n.change(func() {
		delete(n.stalled, addr)
		held := n.held
		n.held = nil
		for _, p := range held {
			n.send(p)
		}
	})
}

func (n *Network) set(cut bool, from, to []string) {
	n.change(func() {
		for _, f := range from {
			for _, t := range to {
				n.cut[link{f, t}] = cut
			}
		}
	})
}

func (n *Network) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	close(n.changed)
	n.changed = make(chan struct{})
}

// send delivers a packet, holds it back or drops it. The lock is held.
func (n *Network) send(p packet) {
	if n.stalled[p.from] || n.stalled[p.to] {
		if len(n.held) < maxHeld {
			n.held = append(n.held, p)
		}
		return
	}
	to := n.transports[p.to]
	if to == nil || n.cut[p.link] {
		return
	}
	from := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(p.from))
	select {
	case to.packets <- &memberlist.Packet{Buf: p.payload, From: from, Timestamp: time.Now()}:
	default:
	}
}

// flows says whether a stream's bytes go that way, and returns what is closed
// when that may have changed.
func (n *Network) flows(l link) (ok bool, changed <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.cut[l] && !n.stalled[l.from] && !n.stalled[l.to], n.changed
}

func (n *Network) at(name string) *Transport {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.transports[name]
}
