package proxy

import (
	"bytes"
	"strconv"
)

// framer cuts a Redis server's stream into its frames, so that some can be left
// out.
type framer struct{ rest []byte }

// maxFrame bounds what is kept of a frame that has not come whole.
const maxFrame = 64 << 20

// add takes what came and returns the frames that are complete, but for the
// messages of subscriptions if those are to be left out. What is no frame passes.
func (f *framer) add(b []byte, leaveOut bool) []byte {
	f.rest = append(f.rest, b...)
	var out []byte
	for {
		n, ok := frame(f.rest)
		if !ok || len(f.rest) > maxFrame {
			out, f.rest = append(out, f.rest...), nil
			return out
		}
		if n == 0 {
			return out
		}
		if !leaveOut || !isMessage(f.rest[:n]) {
			out = append(out, f.rest[:n]...)
		}
		f.rest = f.rest[n:]
	}
}

// isMessage says whether a frame is a message of a subscription: an array or a
// push of which the first element is "message".
func isMessage(b []byte) bool {
	_, rest, ok := bytes.Cut(b, []byte("\r\n"))
	return ok && (b[0] == '*' || b[0] == '>') && bytes.HasPrefix(rest, []byte("$7\r\nmessage\r\n"))
}

// frame returns the length of the first frame, 0 if it is not complete; ok is
// false if there is none.
func frame(b []byte) (n int, ok bool) {
	end := bytes.Index(b, []byte("\r\n"))
	if end < 0 {
		return 0, true
	}
	n = end + 2
	count, err := strconv.Atoi(string(b[min(1, end):end]))
	switch b[0] {
	case '+', '-', ':', '_', '#', ',', '(':
		return n, true
	case '$', '=', '!':
		if count < 0 {
			return n, err == nil
		}
		if n += count + 2; n > len(b) {
			n = 0
		}
		return n, err == nil
	case '%', '|':
		return elements(b, n, 2*count, err == nil)
	case '*', '>', '~':
		return elements(b, n, count, err == nil)
	}
	return 0, false
}

// elements returns the length of a frame that has so many others in it.
func elements(b []byte, n, count int, ok bool) (int, bool) {
	for range count {
		if !ok || n >= len(b) {
			return 0, ok
		}
		var m int
		if m, ok = frame(b[n:]); m == 0 {
			return 0, ok
		}
		n += m
	}
	return n, ok
}
