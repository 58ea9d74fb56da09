// Package trial is one run: a world, traffic, a nemesis, and a checker that looks
// at every answer. It ends with a summary, and, if an answer broke the promise,
// with the shortest history that shows it.
package trial
