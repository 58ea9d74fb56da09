//go:build !mutation

package subscriber

// beatless says that a beat that does not come back is no doubt: never, but in a
// binary built with the tag "mutation" if CHAOS_MUTATION asks for it, so that
// cmd/chaos can show that it would catch that.
func beatless() bool { return false }

// fenceless says that a fence holds at once: never, but if CHAOS_MUTATION asks for
// it, as above.
func fenceless() bool { return false }
