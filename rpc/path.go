package rpc

import (
	"net/url"
	"strings"
)

// maxSegments bounds the segments of a REST path.
const maxSegments = 32

// segments splits a path into its decoded segments, exactly as they were sent:
// an encoded slash or dot stays part of its segment, and nothing is cleaned.
// It returns nil for a path that is too long or not rooted.
func segments(u *url.URL) []string {
	path, encoded := u.RawPath, true
	if path == "" {
		// The path as sent is the plain encoding of Path: every slash in Path
		// was a slash, and Path is already decoded.
		path, encoded = u.Path, false
	}
	path, rooted := strings.CutPrefix(path, "/")
	if !rooted || strings.Count(path, "/") >= maxSegments {
		return nil
	}
	parts := strings.Split(path, "/")
	if !encoded {
		return parts
	}
	for i, p := range parts {
		decoded, err := url.PathUnescape(p)
		if err != nil {
			return nil
		}
		parts[i] = decoded
	}
	return parts
}

// match compares segments with a pattern's, and returns what its "{…}" matched:
// any one segment, and "{…...}" at the end any number of them.
func match(pattern, parts []string) ([]string, bool) {
	last := len(pattern) - 1
	rest := strings.HasSuffix(pattern[last], "...}")
	if len(pattern) != len(parts) && (!rest || len(parts) < last) {
		return nil, false
	}
	args := make([]string, 0, 3)
	for i, want := range pattern {
		switch {
		case rest && i == last:
			args = append(args, parts[i:]...)
		case strings.HasPrefix(want, "{"):
			args = append(args, parts[i])
		case want != parts[i]:
			return nil, false
		}
	}
	return args, true
}
