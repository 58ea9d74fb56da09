package cache

// mutation is a rule of coherence that a binary built with the tag "mutation"
// breaks, if CHAOS_MUTATION names it: so that cmd/chaos can show that it would
// catch that. In any other binary none is, and the compiler leaves the question
// out.
type mutation string

const (
	mutateProof        mutation = "proof"        // C0: an old proof counts
	mutateSubscribe    mutation = "subscribe"    // C1: a generation begins before the channels are confirmed
	mutateLease        mutation = "lease"        // C2: an event revokes no lease
	mutateMarks        mutation = "marks"        // C2: an event leaves no mark for a list
	mutateFloor        mutation = "floor"        // C3: an invalidation leaves no floor
	mutateConfirm      mutation = "confirm"      // C4: unversioned values are not provisional
	mutateETag         mutation = "etag"         // C4: an event's value keeps the ETag of the one before
	mutateGeneration   mutation = "generation"   // C6: what was read counts for the generation in which it came
	mutateCompleteness mutation = "completeness" // C10: an invalidation of what is absent leaves no stub
)
