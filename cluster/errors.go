package cluster

import "errors"

// ErrAddressInUse says that the gossip port could not be bound. Free the port
// or configure another; nothing was started.
var ErrAddressInUse = errors.New("the gossip port cannot be bound; free it or configure another")

// ErrNoAdvertise says that the node listens on all addresses and none of them
// is a private one it could tell others. Give [Config.Advertise].
var ErrNoAdvertise = errors.New("no address to tell other nodes; configure the one they reach this node at")

// ErrIncompatible says that a peer was refused: its metadata cannot be read, or
// it has another ring. The wrapping error says which. It goes away when the
// peer runs with the same configuration.
var ErrIncompatible = errors.New("incompatible peer")

// ErrRunTwice says that Run was called a second time. Make a new [Cluster].
var ErrRunTwice = errors.New("a cluster runs once")
