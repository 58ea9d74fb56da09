package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Address is a host and a port, such as "127.0.0.1:7070", "redis:6379" or
// ":7070" (every interface). Empty where a key allows it.
type Address string

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *Address) UnmarshalText(text []byte) error {
	s := string(text)
	if host, port, err := net.SplitHostPort(s); s != "" && (err != nil || !isHost(host) || !isPort(port)) {
		return fmt.Errorf("%.60q is not an address; host:port is needed, such as 127.0.0.1:7070 or [::1]:7070", s)
	}
	*a = Address(s)
	return nil
}

// Host returns the part before the port.
func (a Address) Host() string {
	host, _, _ := net.SplitHostPort(string(a))
	return host
}

// Loopback says whether only this machine reaches the address.
func (a Address) Loopback() bool {
	ip, err := netip.ParseAddr(a.Host())
	return a.Host() == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func isPort(s string) bool {
	p, err := strconv.ParseUint(s, 10, 16)
	return err == nil && strconv.FormatUint(p, 10) == s
}

func isHost(s string) bool {
	if strings.Contains(s, ":") {
		_, err := netip.ParseAddr(s)
		return err == nil
	}
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	return len(s) <= 253 && !strings.ContainsFunc(s, func(c rune) bool { return !strings.ContainsRune(allowed, c) })
}

// Size is a number of bytes.
type Size int64

// unit is a name for so many bytes.
type unit struct {
	name  string
	bytes int64
}

// units returns the largest first.
func units() []unit {
	return []unit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

// UnmarshalText implements [encoding.TextUnmarshaler]: a whole number of B, KiB,
// MiB, GiB or TiB, or of bytes.
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := string(text), int64(1)
	for _, u := range units() {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, factor = n, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n > (1<<62)/factor || n < -(1<<62)/factor {
		return fmt.Errorf("%.60q is not a size; a whole number of KiB, MiB or GiB is needed, such as 8MiB", text)
	}
	*s = Size(n * factor)
	return nil
}

// MarshalText implements [encoding.TextMarshaler].
func (s Size) MarshalText() ([]byte, error) {
	for _, u := range units() {
		if s != 0 && u.bytes > 1 && int64(s)%u.bytes == 0 {
			return []byte(strconv.FormatInt(int64(s)/u.bytes, 10) + u.name), nil
		}
	}
	return strconv.AppendInt(nil, int64(s), 10), nil
}

// URL is an absolute http or https URL; empty where a key allows it.
type URL string

// UnmarshalText implements [encoding.TextUnmarshaler]. Its errors do not quote
// the text, which may hold a password.
func (u *URL) UnmarshalText(text []byte) error {
	parsed, err := url.Parse(string(text))
	switch {
	case len(text) == 0:
	case err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "":
		return errors.New("is not a URL; http://host:port or https://host is needed")
	case parsed.Port() != "" && !isPort(parsed.Port()):
		return errors.New("has no such port; 0 to 65535 are ports")
	case parsed.User != nil:
		return errors.New("has a user or password in it; a token belongs to its own key")
	case parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "":
		return errors.New("has a query or a fragment; leave it out")
	}
	*u = URL(text)
	return nil
}

// masked stands for a secret wherever one would be shown.
const masked = "******"

// Secret is text that is never shown: every way to print it gives a mask.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String implements [fmt.Stringer].
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString implements [fmt.GoStringer].
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText implements [encoding.TextMarshaler].
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GossipKey is a secret key of 16, 24 or 32 bytes, written in base64.
type GossipKey string

// errGossipKey does not quote what was given, which is meant to be secret.
var errGossipKey = errors.New("is not a key; 16, 24 or 32 bytes in base64 are needed (openssl rand -base64 32)")

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *GossipKey) UnmarshalText(text []byte) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(raw) != 16 && len(raw) != 24 && len(raw) != 32 {
		return errGossipKey
	}
	*k = GossipKey(text)
	return nil
}

// Bytes returns the key itself.
func (k GossipKey) Bytes() []byte {
	raw, _ := base64.StdEncoding.DecodeString(string(k))
	return raw
}

// String implements [fmt.Stringer].
func (k GossipKey) String() string { return Secret(k).String() }

// GoString implements [fmt.GoStringer].
func (k GossipKey) GoString() string { return Secret(k).GoString() }

// MarshalText implements [encoding.TextMarshaler].
func (k GossipKey) MarshalText() ([]byte, error) { return Secret(k).MarshalText() }
