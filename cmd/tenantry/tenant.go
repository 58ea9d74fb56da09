package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc/client"
)

func tenantCommand() *cobra.Command {
	var a access
	c := &cobra.Command{
		Use:   "tenant TENANT",
		Short: "Show how a tenant is: state, memory, kinds, reads, last events",
		Long: `Shows one tenant as a node has it. A tenant that is not active is cold, and is not
activated by being asked for. Counters count since its activation.`,
		Example: "  tenantry tenant 123\n  tenantry tenant 123 -o json",
		Args:    cobra.ExactArgs(1),
	}
	a.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		t, err := ask(c, &a, func(ctx context.Context, n *client.Client) (*tenantryv1.GetTenantResponse, error) {
			return n.Tenant(ctx, args[0])
		})
		if err != nil {
			return err
		}
		if a.output == "json" {
			return printMessage(c.OutOrStdout(), t)
		}
		return printTenant(c.OutOrStdout(), t)
	}
	return c
}

// table writes aligned columns.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

func (t table) row(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) }

func printTenant(w io.Writer, t *tenantryv1.GetTenantResponse) error {
	page := newTable(w)
	page.row("tenant", t.GetTenant())
	page.row("node", t.GetNode())
	page.row("owners", strings.Join(t.GetOwners(), ", "))
	if t.GetState() == tenantryv1.TenantState_TENANT_STATE_COLD {
		page.row("state", "cold")
		page.row("memory", "0 of "+bytesText(t.GetBytesLimit()))
		printLoad(page, t.GetLoad())
		return page.Flush()
	}
	printLife(page, t)
	printFigures(page, t)
	if err := page.Flush(); err != nil {
		return err
	}
	if err := printKinds(w, t.GetKinds()); err != nil {
		return err
	}
	return printEvents(w, t.GetLastEvents())
}

// printLife prints where the tenant is, and how far what is kept can be trusted.
func printLife(page table, t *tenantryv1.GetTenantResponse) {
	state := fmt.Sprintf("%s for %s, idle %s", stateText(t.GetState()), since(t.GetInState()), since(t.GetIdle()))
	if t.GetPreloaded() {
		state += ", preloaded"
	}
	page.row("state", state)
	page.row("generation", strconv.FormatUint(t.GetGeneration(), 10))
	page.row("doubtful", yesNo(t.GetDoubtful()))
	proof := "none"
	if t.GetProofAge() != nil {
		proof = since(t.GetProofAge()) + " ago"
	}
	page.row("proof", proof)
	printLoad(page, t.GetLoad())
	page.row("memory", bytesText(t.GetBytes())+" of "+bytesText(t.GetBytesLimit()))
	page.row("channels", strconv.Itoa(len(t.GetChannels())))
	for _, channel := range t.GetChannels() {
		page.row("", channel)
	}
}

func printFigures(page table, t *tenantryv1.GetTenantResponse) {
	s := t.GetCacheStats()
	page.row("cacheStats", fmt.Sprintf("criticalHits %d, criticalMisses %d, referenceHits %d, referenceMisses %d, avgResponseTime %s",
		s.GetCriticalHits(), s.GetCriticalMisses(), s.GetReferenceHits(), s.GetReferenceMisses(), since(s.GetAvgResponseTime())))
	page.row("counts", fmt.Sprintf("%d reads, %d origin requests, %d evictions, %d events",
		t.GetRequests(), t.GetOriginRequests(), t.GetEvictions(), t.GetEvents()))
}

// printLoad prints how the lists are, and what is wrong with them.
func printLoad(page table, l *tenantryv1.TenantLoad) {
	var parts []string
	if l.GetAge() != nil {
		parts = append(parts, "read "+since(l.GetAge())+" ago")
	}
	if n := len(l.GetMissingKinds()); n > 0 {
		parts = append(parts, "missing "+strings.Join(l.GetMissingKinds(), ", "))
	}
	if l.GetError() != "" {
		parts = append(parts, fmt.Sprintf("failed: %s (%d in a row)", plain(l.GetError()), l.GetFailures()))
	}
	if l.GetRetryIn() != nil {
		parts = append(parts, "retried in "+since(l.GetRetryIn()))
	}
	if len(parts) > 0 {
		page.row("lists", strings.Join(parts, "; "))
	}
}

func printKinds(w io.Writer, kinds []*tenantryv1.TenantKind) error {
	fmt.Fprintln(w)
	page := newTable(w)
	page.row("KIND", "CLASS", "ENTRIES", "NEGATIVE", "BYTES", "COMPLETE", "HITS", "MISSES", "TTL")
	for _, k := range kinds {
		page.row(k.GetKind(), k.GetClass(), count(k.GetEntries()), count(k.GetNegativeEntries()), bytesText(k.GetBytes()),
			yesNo(k.GetComplete()), count(k.GetHits()), count(k.GetMisses()), k.GetTtl().AsDuration().String())
	}
	return page.Flush()
}

// printEvents prints the last events, the newest first.
func printEvents(w io.Writer, events []*tenantryv1.TenantEvent) error {
	if len(events) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	page := newTable(w)
	page.row("EVENT", "AGE", "EFFECT", "KIND", "KEY", "VERSION", "TOPIC", "TYPE")
	for _, e := range events {
		version, effect := "-", e.GetEffect()
		if e.Version != nil {
			version = count(e.GetVersion())
		}
		if e.GetReason() != "" {
			effect += ": " + e.GetReason()
		}
		page.row(plain(e.GetEventId()), since(e.GetAge()), plain(effect), plain(e.GetKind()), plain(e.GetKey()), version,
			plain(e.GetTopic()), plain(e.GetType()))
	}
	return page.Flush()
}

// plain makes a text of somebody else's fit for a terminal and a cell.
func plain(text string) string {
	if text == "" {
		return "-"
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

func stateText(s tenantryv1.TenantState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "TENANT_STATE_"))
}

// since prints a duration as far as people care.
func since(d *durationpb.Duration) string {
	switch v := d.AsDuration(); {
	case v >= time.Minute:
		return v.Round(time.Second).String()
	case v >= time.Second:
		return v.Round(100 * time.Millisecond).String()
	case v >= time.Millisecond:
		return v.Round(time.Millisecond).String()
	default:
		return v.Round(100 * time.Nanosecond).String()
	}
}

func yesNo(b bool) string { return map[bool]string{true: "yes", false: "no"}[b] }

func count(n uint64) string { return strconv.FormatUint(n, 10) }

// bytesText prints a size in the largest unit of which there is one.
func bytesText(n uint64) string {
	const step = 1024
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(n), 0
	for value >= step && unit < len(units)-1 {
		value, unit = value/step, unit+1
	}
	return strconv.FormatFloat(float64(int64(value*10))/10, 'f', -1, 64) + " " + units[unit]
}
