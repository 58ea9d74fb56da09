package cache

import "time"

// instant is a time on the process's monotonic clock, in nanoseconds since an
// origin long before the process began: 0 is "never", and older than any
// bound. It is never compared with another process's.
type instant int64

// clock tells instants. The monotonic clock goes on while the process is
// stopped, so that a node that was frozen knows how long.
type clock struct{ origin time.Time }

// beforeStart is the age of the instant 0 when a clock is made: far more than
// any configurable bound, far less than the range of an instant.
const beforeStart = 10 * 365 * 24 * time.Hour

func newClock() clock { return clock{origin: time.Now().Add(-beforeStart)} }

func (c clock) now() instant { return instant(time.Since(c.origin)) }

// at converts a time taken with time.Now in this process.
func (c clock) at(t time.Time) instant { return instant(t.Sub(c.origin)) }

func (i instant) sub(j instant) time.Duration { return time.Duration(i - j) }

func (i instant) add(d time.Duration) instant { return i + instant(d) }
