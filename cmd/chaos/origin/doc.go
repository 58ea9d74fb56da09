// Package origin is the authoritative service of a run: items of five families
// that change, served as the documents that the crm kinds expect, one by one and
// as lists, with versions and ETags. It writes each commit into the history at
// the instant from which reads see it, and fails or dawdles when told to.
//
// An [Origin] is safe for concurrent use.
package origin
