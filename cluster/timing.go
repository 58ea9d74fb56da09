package cluster

import (
	"time"

	"github.com/hashicorp/memberlist"
)

// How fast a dead node is noticed, against how long a live one may pause.
//
// A node probes one member each probeInterval, all in turn. A probe that is not
// answered directly within probeTimeout is tried through three others and by
// TCP until probeInterval is over; then the member is suspected. It is given
// up after
//
//	suspicion × max(1, log10 n) × probeInterval = 1.6 s up to 10 members
//
// unless it says meanwhile that it lives. From 4 members on, two more have to
// confirm the suspicion for that; without them, as on the smaller side of a
// partition, it takes up to suspicionMax times as long, and a node that is cut
// off slows its probes as well (awarenessMax).
//
// So a crash among three is noticed after 0 to 1.2 s (the turn) + 0.4 s + 1.6 s.
// A node that pauses is given up no earlier than 2 s after it stopped, and
// needs a gossip interval to object once it is back: a pause of 1 s is safe
// with 0.9 s to spare. memberlist's profile for a LAN takes 5.5 s.
const (
	probeInterval  = 400 * time.Millisecond
	probeTimeout   = 200 * time.Millisecond // a LAN answers in 1 ms, a garbage collection in 50
	suspicion      = 4
	suspicionMax   = 2
	awarenessMax   = 4 // a node that loses its own probes slows them to at most 1.6 s
	gossipInterval = 100 * time.Millisecond
	// retransmit × ceil(log10(n+1)) is how often a node passes a piece of news
	// on. It counts what rides on the answers to probes: with memberlist's 4, a
	// burst of those to one node uses up what the others should have heard.
	retransmit = 6
	// pushPull is the time between two full exchanges with a random member,
	// longer from 33 members on. It repairs what gossip lost.
	pushPull = 10 * time.Second
	// streamTimeout bounds dialing, and each exchange on a stream: 100 members
	// are 30 KB.
	streamTimeout = 3 * time.Second
	// gossipToDead is how long a dead member is still told so: it may object.
	gossipToDead = 30 * time.Second
	// reclaim is how long after its death a name may come back from another
	// address: at once. Whoever lives objects before it is given up.
	reclaim = time.Nanosecond
)

// Bounds of what is not memberlist's.
const (
	// updateTimeout bounds the wait until changed metadata has been sent.
	updateTimeout = time.Second
	// spread is the time in which gossip reaches everybody, nearly always.
	spread = 3 * gossipInterval
	// leaveTimeout bounds the wait until the good-bye has been sent.
	leaveTimeout = time.Second
	// resolveTimeout bounds the look-up of all seeds.
	resolveTimeout = 2 * time.Second
)

// profile returns memberlist's settings without what is this node's own.
func profile() *memberlist.Config {
	p := memberlist.DefaultLANConfig()
	p.ProbeInterval, p.ProbeTimeout = probeInterval, probeTimeout
	p.SuspicionMult, p.SuspicionMaxTimeoutMult = suspicion, suspicionMax
	p.AwarenessMaxMultiplier = awarenessMax
	p.RetransmitMult = retransmit
	p.GossipInterval, p.GossipToTheDeadTime = gossipInterval, gossipToDead
	p.PushPullInterval, p.TCPTimeout = pushPull, streamTimeout
	p.DeadNodeReclaimTime = reclaim
	// Packets are small: compressing them costs more than sending them.
	p.EnableCompression = false
	return p
}
