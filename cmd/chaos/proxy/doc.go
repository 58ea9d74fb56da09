// Package proxy is a TCP proxy that can be made to cut, freeze, delay, and break
// off after so many bytes, all of its connections or those of one sort.
//
// A frozen connection is open and silent, and so is one that is accepted while
// frozen: nothing is read from either side, so that the sender's buffers fill as
// they would over a dead line. Thawed, everything is delivered in its order.
//
// A [Gate] does that to what nodes say to each other, to streams and datagrams, each
// way by itself. Datagrams are late, or lost as a network loses them: without a word,
// and those beyond a number.
//
// A [Proxy] owns a goroutine for its listener and two for each connection; a [Gate]
// as many, and one for the datagrams of each caller. Both are safe for concurrent
// use.
package proxy
