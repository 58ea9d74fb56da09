// Package nemesis brings faults upon a world, one at a time with quiet between,
// or, asked to, several at once. Which, in what order and for how long follows
// from a seed; the history gets when each began and ended.
package nemesis
