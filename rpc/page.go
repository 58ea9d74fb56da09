package rpc

import "encoding/base64"

// A page token is opaque to callers: the format's digit and the last name of the
// page before, in base64. It stays good whatever comes and goes meanwhile.
const pageFormat = "1"

// pageToken returns the token of the page after a name, "" for no page.
func pageToken(after string) string {
	if after == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(pageFormat + after))
}

// pageAfter returns the name that a page comes after.
func pageAfter(token string) (name string, err error) {
	if token == "" {
		return "", nil
	}
	problem := &fieldError{"page_token", "is not a token of an earlier page"}
	if len(token) > base64.RawURLEncoding.EncodedLen(len(pageFormat)+maxNameBytes) {
		return "", problem
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(text) < len(pageFormat) || string(text[:len(pageFormat)]) != pageFormat {
		return "", problem
	}
	if name = string(text[len(pageFormat):]); validateTenant("page_token", name) != nil {
		return "", problem
	}
	return name, nil
}
