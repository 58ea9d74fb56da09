package cluster

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"
)

// delegate is what memberlist calls, mostly with its lock held: every method
// copies, pokes and returns.
type delegate struct{ *Cluster }

// NodeMeta is asked for when this node says that it lives.
func (d delegate) NodeMeta(int) []byte {
	meta := d.roster.selfMeta()
	return meta.encode()
}

// What this package has no use for.
func (delegate) NotifyMsg([]byte)                {}
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (delegate) LocalState(bool) []byte          { return nil }
func (delegate) MergeRemoteState([]byte, bool)   {}

// NotifyAlive refuses peers that could not be members. It is asked at every
// alive message, before memberlist looks whether it is news.
func (d delegate) NotifyAlive(n *memberlist.Node) error {
	if n.Name == d.cfg.Name {
		return nil // of an earlier life, which memberlist refutes, or another node's: NotifyConflict
	}
	meta, refused := d.admit(n)
	if refused == nil {
		d.roster.objected(n.Name, meta.ID)
		return nil
	}
	d.refusals.add(*refused)
	return refused.err()
}

// NotifyMerge is asked before the view of another node is taken over that
// joins this one or is joined. A cluster that is incompatible is refused as a
// whole: its news of members that left might be about names of this one.
func (d delegate) NotifyMerge(peers []*memberlist.Node) error {
	for _, n := range peers {
		if n.State == memberlist.StateDead || n.State == memberlist.StateLeft {
			continue
		}
		if n.Name == d.cfg.Name {
			d.compareSelf(n)
			continue
		}
		if _, refused := d.admit(n); refused != nil {
			d.refusals.add(*refused)
			return refused.err()
		}
	}
	return nil
}

// compareSelf looks whether a peer has this node's name at another address. It
// has then not taken this node's, and if it suspects the other, memberlist is
// silent about that: to it, this node has objected.
func (d delegate) compareSelf(n *memberlist.Node) {
	if at := gossipAddress(n); at != d.GossipAddress() {
		d.rejoin.contested(at)
		d.rejoin.doubt()
	}
}

// NotifyConflict says that two addresses go by one name. memberlist keeps the
// first. Looking again soon ends what a restarted node's old address caused.
func (d delegate) NotifyConflict(existing, other *memberlist.Node) {
	d.refusals.add(refusal{
		peer: other.Name, address: gossipAddress(other).String(), reason: reasonName,
		detail: fmt.Sprintf("the name is in use at %s; give each node its own", gossipAddress(existing)),
	})
	if existing.Name == d.cfg.Name {
		d.rejoin.contested(gossipAddress(other))
	}
	d.rejoin.doubt()
}

// NotifyJoin, NotifyUpdate and NotifyLeave say that memberlist has a member,
// has other metadata of it, or has it no more.
func (d delegate) NotifyJoin(n *memberlist.Node)   { d.took(n) }
func (d delegate) NotifyUpdate(n *memberlist.Node) { d.took(n) }

func (d delegate) NotifyLeave(n *memberlist.Node) {
	if died := d.roster.gone(n.Name); died {
		d.rejoin.lost()
	}
}

func (d delegate) took(n *memberlist.Node) {
	if meta, refused := d.admit(n); refused == nil {
		d.roster.alive(n.Name, gossipAddress(n), &meta)
	}
}

// admit returns a peer's metadata, or why it cannot be a member.
func (d delegate) admit(n *memberlist.Node) (Meta, *refusal) {
	refuse := func(reason, format string, args ...any) *refusal {
		return &refusal{n.Name, gossipAddress(n).String(), reason, fmt.Sprintf(format, args...)}
	}
	if err := checkName(n.Name); err != nil {
		return Meta{}, refuse(reasonMetadata, "%v", err)
	}
	if at := gossipAddress(n); !at.IsValid() || at.Addr().IsUnspecified() || at.Port() == 0 {
		return Meta{}, refuse(reasonMetadata, "its gossip address cannot be talked to")
	}
	meta, err := decodeMeta(n.Meta)
	if err != nil {
		return Meta{}, refuse(reasonMetadata, "%v", err)
	}
	if meta.Algorithm != d.cfg.Algorithm {
		return Meta{}, refuse(reasonAlgorithm, "its ring is %q, this node's %q", meta.Algorithm, d.cfg.Algorithm)
	}
	return meta, nil
}

func (r *refusal) err() error {
	return fmt.Errorf("%w: %s: %s", ErrIncompatible, r.reason, r.detail)
}

// AckPayload is sent with every answer to a probe: the life that answers.
func (d delegate) AckPayload() []byte {
	id := d.roster.selfMeta().ID
	return id[:]
}

// NotifyPingComplete says that a probe was answered directly. That does not end
// memberlist's suspicion, only an objection does. Where gossip has lost that,
// asking for it keeps a node that answers from being given up.
func (d delegate) NotifyPingComplete(n *memberlist.Node, _ time.Duration, payload []byte) {
	var id ID
	if len(payload) >= len(id) {
		id = ID(payload[:len(id)])
	}
	if d.roster.answered(n.Name, id) {
		d.rejoin.ask(gossipAddress(n))
	}
}

func gossipAddress(n *memberlist.Node) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(ip.Unmap(), n.Port)
}
