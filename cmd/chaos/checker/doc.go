// Package checker says whether a recorded answer keeps the promise of
// docs/design.md. It knows the history and nothing of the product.
//
// For a version v of an item let r be when its successor was committed, a when
// the event of that or a later change was acknowledged, and i when the request
// was sent. An answer that is FRESH with v breaks the promise if and only if
// i > min(max(r, a) + bound, r + 1.1 × TTL + bound).
//
// A value names its commit. An absence does not: it is judged by whichever of the
// item's absences suits it best.
package checker
