package rpc

import (
	"net/http"
	"time"

	connectcors "connectrpc.com/cors"
	"github.com/rs/cors"
)

// preflightAge is how long a browser may keep the answer to its question
// whether it may ask. Browsers keep it for two hours at most.
const preflightAge = 2 * time.Hour

// withCORS lets pages of other origins call the handler from a browser, by
// Connect, gRPC-Web and REST. Browsers send no cookies: who asks is said by a
// header, which a page must know.
func withCORS(h http.Handler, origins []string) http.Handler {
	if len(origins) == 0 {
		return h
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: append(connectcors.AllowedMethods(), http.MethodHead),
		AllowedHeaders: append(connectcors.AllowedHeaders(), "Authorization", tenantHeader, "If-None-Match"),
		ExposedHeaders: append(connectcors.ExposedHeaders(), "Tenantry-Freshness", "Tenantry-Node", "Age", "ETag", "Retry-After"),
		MaxAge:         int(preflightAge / time.Second),
	}).Handler(h)
}
