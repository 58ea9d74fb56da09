// Package nemesis brings faults upon a world, one at a time with quiet between,
// or, asked to, several at once. Which, in what order and for how long follows
// from a seed; the history gets when each began and ended. In a cluster, what strikes
// a node strikes one at random, what strikes the bus or the origin strikes it for all
// nodes or, by a name that ends in "-one", for one.
package nemesis
