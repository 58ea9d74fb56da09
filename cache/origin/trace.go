package origin

import "context"

type traceKey struct{}

// WithTraceparent returns a context whose reads send value, a W3C traceparent,
// to the origin. A value that is none is not sent.
func WithTraceparent(ctx context.Context, value string) context.Context {
	if !isTraceparent(value) {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, value)
}

func traceparent(ctx context.Context) string {
	value, _ := ctx.Value(traceKey{}).(string)
	return value
}

// isTraceparent knows version-trace-parent-flags, as the W3C's Trace Context
// has it: lower-case hex, neither id zero, no version ff. Later versions may be
// longer; those are not passed on, for what they add is not known.
func isTraceparent(s string) bool {
	if len(s) != 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" {
		return false
	}
	_, ok := hexValue(s[:2])
	trace, okTrace := hexValue(s[3:35])
	parent, okParent := hexValue(s[36:52])
	_, okFlags := hexValue(s[53:])
	return ok && okTrace && okParent && okFlags && trace && parent
}

// hexValue says whether s is lower-case hex, and whether it is not zero.
func hexValue(s string) (nonzero, ok bool) {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false, false
		}
		nonzero = nonzero || c != '0'
	}
	return nonzero, true
}
