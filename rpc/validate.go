package rpc

import (
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
)

// Limits of what a request may name, as the contract gives them. Kind names
// share the alphabet of tenants.
const (
	maxNameBytes = 64
	maxKeyBytes  = 512
	// MaxBatchItems bounds a BatchGet.
	MaxBatchItems = 1000
)

// fieldError says which field of a request is wrong, and how. Neither text may
// repeat what the caller sent.
type fieldError struct{ field, problem string }

func (e *fieldError) Error() string { return e.field + ": " + e.problem }

// validate checks what names an entry; field is what the request calls the key.
func (e entry) validate(field string) error {
	if err := validateTenant("tenant", e.tenant); err != nil {
		return err
	}
	return e.validateItem(field)
}

func (e entry) validateItem(field string) error {
	if problem := nameProblem(e.kind); problem != "" {
		return &fieldError{"kind", problem}
	}
	return validateKey(field, e.key)
}

func validateTenant(field, tenant string) error {
	problem := nameProblem(tenant)
	if problem == "" && isDots(tenant) {
		problem = `"." and ".." are not names`
	}
	if problem != "" {
		return &fieldError{field, problem}
	}
	return nil
}

// nameProblem says why s is not [A-Za-z0-9._-]{1,64}, or nothing.
func nameProblem(s string) string {
	if s == "" {
		return "missing"
	}
	if len(s) > maxNameBytes {
		return "longer than " + strconv.Itoa(maxNameBytes) + " bytes"
	}
	for i := range len(s) {
		if !isNameByte(s[i]) {
			return "has a character other than A-Z a-z 0-9 . _ -"
		}
	}
	return ""
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_'
}

func isDots(s string) bool { return s == "." || s == ".." }

// validateKey accepts 1 to 512 bytes of UTF-8 without control characters that
// can be one segment of a path at the origin.
func validateKey(field, key string) error {
	switch {
	case key == "":
		return &fieldError{field, "missing"}
	case len(key) > maxKeyBytes:
		return &fieldError{field, "longer than " + strconv.Itoa(maxKeyBytes) + " bytes"}
	case isDots(key):
		return &fieldError{field, `"." and ".." cannot be one segment of a path`}
	case hasControl(key):
		return &fieldError{field, "has a control character"}
	case !utf8.ValidString(key):
		return &fieldError{field, "is not UTF-8"}
	}
	return nil
}

// hasControl looks for U+0000 to U+001F, U+007F, and U+0080 to U+009F, which
// UTF-8 writes as C2 80 to C2 9F.
func hasControl(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c == 0x7f {
			return true
		}
		if c == 0xc2 && i+1 < len(s) && s[i+1] >= 0x80 && s[i+1] < 0xa0 {
			return true
		}
	}
	return false
}

// maxAge reads a bound of age; d is not nil.
func maxAge(d *durationpb.Duration) (time.Duration, error) {
	if d.GetNanos() <= -1e9 || d.GetNanos() >= 1e9 {
		return 0, &fieldError{"max_age", "is not a duration"}
	}
	if d.GetSeconds() < 0 || d.GetNanos() < 0 {
		return 0, &fieldError{"max_age", "negative"}
	}
	return d.AsDuration(), nil // saturates: about 292 years
}
