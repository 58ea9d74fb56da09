package origin

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// Family is a family of items. An item of Person shows itself in two kinds.
type Family int

// The families.
const (
	Credit Family = iota
	Role
	Person
	Config
	Balance
	families
)

// The kinds, as indexes of [Kinds].
const (
	kindCredit = iota
	kindRole
	kindStatus
	kindConfig
	kindUser
	kindBalance
)

//go:embed kinds.yaml
var kindsFile string

// KindsFile returns the kinds file of a run: the crm kinds that have events,
// with the run's times.
func KindsFile(kinds []history.Kind) string {
	pairs := []string{"NEGATIVE_TTL", (kinds[0].TTL / 2).String()}
	for _, k := range kinds {
		pairs = append(pairs, "TTL_"+k.Name, k.TTL.String(), "STALE_"+k.Name, k.MaxStale.String())
	}
	return strings.NewReplacer(pairs...).Replace(kindsFile)
}

// Kinds returns the kinds with the given times of the critical ones.
func Kinds(ttl, maxStale time.Duration) []history.Kind {
	return []history.Kind{
		kindCredit:  {Name: "credit-config", Critical: true, TTL: ttl, MaxStale: maxStale},
		kindRole:    {Name: "role", Critical: true, TTL: ttl, MaxStale: maxStale},
		kindStatus:  {Name: "user-status", Critical: true, TTL: ttl, MaxStale: maxStale},
		kindConfig:  {Name: "config", Critical: true, TTL: ttl, MaxStale: maxStale},
		kindUser:    {Name: "user", TTL: ttl / 2, MaxStale: 4 * maxStale},
		kindBalance: {Name: "credit-balance", TTL: 5 * time.Second, MaxStale: 4 * maxStale},
	}
}

// view is how a kind shows an item.
type view struct {
	collection, suffix string
	// document is the format of the document: key, number, version.
	document string
	// marker stands before the number in the canonical value.
	marker string
}

func (f Family) views() []int {
	return [...][]int{Credit: {kindCredit}, Role: {kindRole}, Person: {kindStatus, kindUser}, Config: {kindConfig}, Balance: {kindBalance}}[f]
}

// EntriesOf returns how many entries a tenant has with so many items of each family.
func EntriesOf(perTenant int) (n int) {
	for f := range families {
		n += perTenant * len(f.views())
	}
	return n
}

func views() []view {
	return []view{
		kindCredit:  {"credit-configs", "", `{"operationCode":%q,"creditCost":%d%s}`, `"cost":`},
		kindRole:    {"roles", "", `{"roleId":%q,"roleName":"a role","permissions":["p%d"]%s}`, `["p`},
		kindStatus:  {"user-status", "", `{"userId":%q,"status":"active","roles":["r%d"]%s}`, `["r`},
		kindConfig:  {"configs", "", `{"name":%q,"value":{"n":%d}%s}`, `"n":`},
		kindUser:    {"users", "", `{"userId":%q,"n":%d%s}`, `"n":`},
		kindBalance: {"users", "credits", `{"userId":%q,"availableCredits":%d%s}`, `"availableCredits":`},
	}
}

func (v view) render(key string, c history.Commit) string {
	version := ""
	if c.Version != 0 {
		version = fmt.Sprintf(`,"version":%d`, c.Version)
	}
	return fmt.Sprintf(v.document, key, c.Number, version)
}

// Number returns the number of the commit that a canonical value comes from; 0
// if it looks like no value of the kind.
func Number(kind int, value []byte) uint32 {
	_, rest, ok := strings.Cut(string(value), views()[kind].marker)
	if !ok {
		return 0
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		return 0
	}
	n, err := strconv.ParseUint(rest[:end], 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
