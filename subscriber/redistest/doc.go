// Package redistest starts real Redis servers for tests, as httptest does HTTP
// servers: one a test, on a free port of the loopback, stopped when the test
// ends. It needs redis-server on the PATH and fails the test without it.
//
// A [Server] is safe for concurrent use, except that Stop, Restart, Freeze and
// Thaw must not overlap.
package redistest
