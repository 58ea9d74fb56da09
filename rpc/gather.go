package rpc

import (
	"net/http"

	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// gatherBytes is how much of an export is sent at once, at least.
const gatherBytes = 32 << 10

// gather has exports sent in few pieces. They have many small parts, none of which
// anybody waits for: to send each for itself would take most of the time of both nodes.
func gather(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == tenantryv1connect.PeerServiceExportProcedure {
			w = &gathering{ResponseWriter: w}
		}
		next.ServeHTTP(w, r)
	})
}

// gathering flushes when it is worth it, and at the end.
type gathering struct {
	http.ResponseWriter
	waiting int // bytes
}

func (g *gathering) Write(p []byte) (n int, err error) {
	n, err = g.ResponseWriter.Write(p)
	g.waiting += n
	return n, err
}

// Flush implements [http.Flusher].
func (g *gathering) Flush() {
	if g.waiting >= gatherBytes {
		g.waiting = 0
		_ = http.NewResponseController(g.ResponseWriter).Flush() // the next write fails, too
	}
}

// Unwrap is for [http.ResponseController].
func (g *gathering) Unwrap() http.ResponseWriter { return g.ResponseWriter }
