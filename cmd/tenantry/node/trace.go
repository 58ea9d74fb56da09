package node

import (
	"net/http"

	"github.com/tenantry/tenantry/cache/origin"
)

// traced has the origin reads that a request begins belong to its trace: they
// carry the caller's traceparent.
func traced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if parent := r.Header.Get("Traceparent"); parent != "" {
			r = r.WithContext(origin.WithTraceparent(r.Context(), parent))
		}
		next.ServeHTTP(w, r)
	})
}
