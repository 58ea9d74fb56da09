package rpc

import (
	"net/url"
	"strings"
)

// maxSegments bounds the segments of a REST path.
const maxSegments = 8

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

// match compares segments with a pattern's, of which "{…}" matches any one that
// is not empty, and returns what those matched.
func match(pattern, parts []string) ([]string, bool) {
	if len(pattern) != len(parts) {
		return nil, false
	}
	args := make([]string, 0, 3)
	for i, want := range pattern {
		switch {
		case strings.HasPrefix(want, "{"):
			args = append(args, parts[i])
		case want != parts[i]:
			return nil, false
		}
	}
	return args, true
}
