package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"time"
)

// ID is made anew at each start of a node: it tells a restarted node from the
// one before, and two nodes of one name apart. Only who takes part in the gossip
// knows the whole of it, so that nodes may know each other by it.
type ID [16]byte

func newID() (id ID) {
	_, _ = rand.Read(id[:]) // it never fails
	return id
}

// String returns the first eight hexadecimal digits, for logs: enough to tell lives
// apart, and no help to whoever wants to pass for a node.
func (id ID) String() string { return hex.EncodeToString(id[:4]) }

// State is what a node says of itself.
type State uint8

// The states of a node, in the order in which it goes through them. A number
// that a later version sends and this one does not know is read as Joining.
const (
	Joining State = iota // alive, not ready to own tenants
	Ready                // may own tenants
	Leaving              // handing its tenants over, about to end
)

// String returns the state's name: joining, ready or leaving.
func (s State) String() string {
	switch s {
	case Ready:
		return "ready"
	case Leaving:
		return "leaving"
	default:
		return "joining"
	}
}

// Reach is what this node has seen of another.
type Reach uint8

// What this node may have seen of another.
const (
	// Alive: it answers, this node or others.
	Alive Reach = iota
	// Suspect: it answered this node's last probe neither directly nor through
	// others. It has not been given up: it may say that it lives.
	Suspect
	// Dead: it is gone and had not said that it would go.
	Dead
	// Left: it had said that it was leaving, and is gone.
	Left
)

// String returns the name: alive, suspect, dead or left.
func (r Reach) String() string {
	return [...]string{"alive", "suspect", "dead", "left"}[r&3]
}

// Gone says whether the node is no longer a member.
func (r Reach) Gone() bool { return r >= Dead }

// Meta is what a node tells the others of itself, by gossip. It travels in at
// most 396 bytes of memberlist's 512.
type Meta struct {
	// ID is that of the node's present life.
	ID ID
	// Address is where peers and clients reach its rpc port.
	Address string
	// Zone is where it runs; empty: zones are not used.
	Zone string
	// Algorithm is the id of its ring's algorithm, and the settings. It is the
	// same on all members.
	Algorithm string
	// Version is that of its binary.
	Version string
	State   State
	// BusLive says that its bus is live.
	BusLive bool
	// Epoch is that of the ring it has; 0: none yet.
	Epoch uint64
}

// Member is a node as this one sees it.
type Member struct {
	// Name is unique in the cluster.
	Name string
	Meta

	// GossipAddress is where it gossips, by TCP and UDP.
	GossipAddress netip.AddrPort
	Reach         Reach
	// Since is when this node first saw it in this Reach and State of this
	// life. It is monotonic.
	Since time.Time
	// Self is set for the node that was asked.
	Self bool
}
