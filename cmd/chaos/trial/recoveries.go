package trial

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// PrintRecoveries writes a row for each.
func PrintRecoveries(out io.Writer, all []*Recovery) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, strings.Join(columns(), "\t")+"\t")
	for _, r := range all {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.2f s\t%.2f s\t%.1f s\t%.1f s\t%.1f s\t%.0f/s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", r.Fault, r.Tenants, r.Entries, r.HeldLists,
			r.Lasted, r.Doubt, r.Fresh, r.Memory, r.Settled, r.ItemsBefore, r.Lists, r.Items, r.MostLists, r.Most, r.Reads, r.Failed, r.Violations)
	}
	return errors.Join(w.Flush(), printHistories(out, all))
}

func printHistories(out io.Writer, all []*Recovery) error {
	for _, r := range all {
		for _, h := range r.Histories {
			if _, err := fmt.Fprintf(out, "\n%s, %d tenants: %s", r.Fault, r.Tenants, h); err != nil {
				return err
			}
		}
	}
	return nil
}

func columns() []string {
	return []string{
		"fault", "tenants", "entries", "lists", "lasted", "to doubt", "to 99 % fresh", "without origin", "to no doubt",
		"items before", "lists asked", "items asked", "most lists in 1 s", "most requests in 1 s", "reads", "failed", "violations",
	}
}
