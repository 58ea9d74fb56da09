package rpc

import (
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewAdmin returns the handler of the admin port: /healthz, /readyz, /metrics
// and /debug/pprof/.
func NewAdmin(readiness Readiness, metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", serveHealthz)
	mux.Handle("GET /readyz", serveReadyz(readiness))
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// serveHealthz says only that the process lives.
func serveHealthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, []byte(`{"alive":true}`))
}

// serveReadyz answers 200 or 503, with the reasons.
func serveReadyz(readiness Readiness) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		ready, reasons, degraded := readiness.Readiness()
		status := http.StatusOK
		if !ready {
			status = http.StatusServiceUnavailable
		}
		body, _ := marshal(struct {
			Ready    bool     `json:"ready"`
			Reasons  []string `json:"reasons"`
			Degraded []string `json:"degraded"`
		}{ready, orEmpty(reasons), orEmpty(degraded)})
		writeJSON(w, status, body)
	}
}

// orEmpty makes a list that JSON writes as [] rather than null.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
