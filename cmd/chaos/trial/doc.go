// Package trial is one run: a world, traffic, a nemesis, and a checker that looks
// at every answer. It ends with a summary, and, if an answer broke the promise,
// with the shortest history that shows it.
//
// Four other runs have no nemesis, and measure: [Soak] whether a node stays as it
// is under a steady load, [Recover] what one fault costs, [Wake] what nodes answer
// that were stopped, [EndToEnd] whether clients of a cluster notice that nodes come
// and go.
//
// In a cluster reads go to any node. Those sent to a node that is killed or stopped
// have no answer, and nobody is to blame; any other has one while the origin is well.
package trial
