// Package netns puts nodes into network namespaces of their own, in two halves that
// can be parted.
//
//	host ── 10.214.i.1 ──── 10.214.i.2 ─ namespace i ─ 10.213.0.i ── bridge of its half
//	                                                                     │ trunk
//	                                                        bridge of the other half
//
// Each namespace has a line of its own to the host, where clients, Redis and the
// origin are: it stays when the halves are parted. Nodes reach each other over two
// bridges; the trunk between them is what [Network.Part] takes down. It takes root,
// and the command ip. Everything that was made is gone after [Network.Close]; that is
// to be called, whatever happens.
package netns
