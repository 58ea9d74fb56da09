package rpc

import (
	"compress/gzip"
	"errors"
	"io"

	"connectrpc.com/connect"
)

const (
	// compressMinBytes is the size from which answers are compressed for
	// callers who accept it. Below it an answer fits a few packets anyway, and
	// compressing would cost more than the rest of the call.
	compressMinBytes = 4 << 10
	// maxRequestBytes bounds a request message, before and after decompression.
	// The largest, a BatchGet of 1,000 items with the longest keys and tokens of
	// entries, has less.
	maxRequestBytes = 2 << 20
)

// compression replaces Connect's gzip by one that is fast rather than tight,
// and whose decompressor stops at the limit instead of measuring what exceeds it.
func compression() connect.HandlerOption {
	return connect.WithHandlerOptions(
		connect.WithCompression("gzip",
			func() connect.Decompressor { return new(boundedGunzip) },
			func() connect.Compressor {
				w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // a valid level
				return w
			}),
		connect.WithCompressMinBytes(compressMinBytes),
		connect.WithReadMaxBytes(maxRequestBytes),
	)
}

var errInflated = errors.New("the request is too large when decompressed")

// boundedGunzip decompresses at most a little more than maxRequestBytes.
type boundedGunzip struct {
	gzip.Reader
	left int
}

// Reset begins another message.
func (g *boundedGunzip) Reset(src io.Reader) error {
	g.left = maxRequestBytes + 1024
	return g.Reader.Reset(src)
}

// Read fails when the message turns out too large.
func (g *boundedGunzip) Read(p []byte) (int, error) {
	n, err := g.Reader.Read(p)
	if g.left -= n; g.left < 0 {
		return 0, errInflated
	}
	return n, err
}
