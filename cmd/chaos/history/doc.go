// Package history records what happened in a run: what the origin committed and
// when, what was published and acknowledged, which faults there were, and what
// every read asked for and got. It is all that the checker knows.
//
// All times are durations since the run began, on the one monotonic clock of
// this process. A commit's time is taken while nobody can read the origin's
// item; an acknowledgement's after it came; a read's before it is sent and after
// its answer has come. So whatever the scheduler does, a doubtful case is decided
// in favour of the product.
//
// A [Log] is safe for concurrent use.
package history
