package rpc

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/tenantry/tenantry/cache"
)

// A token stands for the state of up to maxParts entries. Its bytes, all
// numbers big endian:
//
//	format (1) | parts (1) | each: flags (1) boot (8) entry (8) position (8) lag (4) [version (8)]
//
// boot is random for each process: positions are comparable within one only.
// entry is a hash of the entry's names, lag the time from position to when the
// answer was settled, in µs; bit 0 of flags says that there is a version. Tokens
// are not secret and need not be genuine: a forged one can only ask for more recent
// values, as max_age and min_version can.
const (
	tokenFormat = 2
	tokenHeader = 1 + 1
	maxPartSize = 1 + 8 + 8 + 8 + 4 + 8
	// maxParts is what an Authorize is made of: status, cost, balance and roles.
	maxParts = 3 + maxRoles
	// singleToken is the longest token of one entry.
	singleToken = tokenHeader + maxPartSize

	flagVersioned = 1
)

var errToken = &fieldError{"after", "is not a token"}

// part is what a token says of one entry.
type part struct {
	boot      uint64 // of the process that answered
	entry     uint64
	position  time.Duration
	settled   time.Duration // to the µs, rounded up
	version   uint64
	versioned bool
}

func partOf(boot uint64, e entry, a *cache.Answer) part {
	return part{boot: boot, entry: e.hash(), position: a.Position, settled: a.Settled, version: a.Version, versioned: a.Versioned}
}

// hash tells entries apart, the same on every node. The odd multiplier (of
// xxhash) makes the order of the names matter.
func (e entry) hash() uint64 {
	const multiplier = 11400714785074694791
	h := xxhash.Sum64String(e.tenant)*multiplier + xxhash.Sum64String(e.kind)
	return h*multiplier + xxhash.Sum64String(e.key)
}

// newBoot draws the identity of this process.
func newBoot() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// appendToken appends the token of the parts, at most maxParts.
func appendToken(b []byte, parts ...part) []byte {
	b = append(b, tokenFormat, byte(len(parts)))
	for i := range parts {
		b = parts[i].append(b)
	}
	return b
}

func (p *part) append(b []byte) []byte {
	var flags byte
	if p.versioned {
		flags |= flagVersioned
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, p.boot)
	b = binary.BigEndian.AppendUint64(b, p.entry)
	b = binary.BigEndian.AppendUint64(b, uint64(p.position))
	b = binary.BigEndian.AppendUint32(b, p.lag())
	if p.versioned {
		b = binary.BigEndian.AppendUint64(b, p.version)
	}
	return b
}

// lag returns the time from position to settled, in µs.
func (p *part) lag() uint32 {
	lag := (p.settled - p.position + time.Microsecond - 1) / time.Microsecond
	return uint32(min(max(lag, 0), math.MaxUint32))
}

// token is a decoded token; the zero value bounds nothing.
type token struct{ parts []part }

// decodeToken reads what appendToken wrote; no bytes are the zero token.
func decodeToken(b []byte) (t token, err error) {
	if len(b) == 0 {
		return token{}, nil
	}
	if len(b) < tokenHeader || b[0] != tokenFormat {
		return token{}, errToken
	}
	n := int(b[1])
	b = b[tokenHeader:]
	if n < 1 || n > maxParts || len(b) > n*maxPartSize {
		return token{}, errToken
	}
	t.parts = make([]part, n)
	for i := range t.parts {
		if b, err = t.parts[i].decode(b); err != nil {
			return token{}, err
		}
	}
	if len(b) != 0 {
		return token{}, errToken
	}
	return t, nil
}

// decode reads a part from the start of b and returns what follows it.
func (p *part) decode(b []byte) ([]byte, error) {
	if len(b) < maxPartSize-8 || b[0]&^flagVersioned != 0 {
		return nil, errToken
	}
	p.versioned = b[0] == flagVersioned
	p.boot = binary.BigEndian.Uint64(b[1:])
	p.entry = binary.BigEndian.Uint64(b[9:])
	p.position = time.Duration(binary.BigEndian.Uint64(b[17:]))
	p.settled = p.position + time.Duration(binary.BigEndian.Uint32(b[25:]))*time.Microsecond
	b = b[maxPartSize-8:]
	if p.position < 0 || p.settled < p.position {
		return nil, errToken
	}
	if !p.versioned {
		return b, nil
	}
	if len(b) < 8 {
		return nil, errToken
	}
	p.version = binary.BigEndian.Uint64(b)
	return b[8:], nil
}

// of returns what the token says of an entry, or nil.
func (t *token) of(e entry) *part {
	if len(t.parts) == 0 {
		return nil
	}
	hash := e.hash()
	for i := range t.parts {
		if t.parts[i].entry == hash {
			return &t.parts[i]
		}
	}
	return nil
}

// bound narrows o by one part. A position is comparable only within the process
// that gave it; what has no version either, another process reads anew.
func (p *part) bound(boot uint64, now time.Duration, o *cache.ReadOptions) error {
	ours := p.boot == boot
	if p.versioned {
		o.MinVersion = max(o.MinVersion, p.version)
	}
	switch {
	case ours && p.position > now:
		return errToken // nothing was ever current in the future
	case ours:
		o.Position, o.Settled = p.position, min(p.settled, now)
	case p.version == 0:
		o.MaxAge, o.HasMaxAge = 0, true
	}
	return nil
}
