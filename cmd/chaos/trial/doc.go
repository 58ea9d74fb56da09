// Package trial is one run: a world, traffic, a nemesis, and a checker that looks
// at every answer. It ends with a summary, and, if an answer broke the promise,
// with the shortest history that shows it.
//
// Three other runs have no nemesis, and measure: [Soak] whether a node stays as it
// is under a steady load, [Recover] what one fault costs, [Wake] what nodes answer
// that were stopped.
package trial
