package trial

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Good says that no answer broke a rule, that enough were fresh, and that there were
// enough within each type of fault.
func (r *Result) Good() bool {
	return r.Violations == 0 && len(r.Unseen) == 0 && !slices.ContainsFunc(r.Liveness, func(s Share) bool { return !s.Met() })
}

// Print writes the summary for people.
func (r *Result) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "seed %d, %.0f s, %d tenants: %d reads checked, %d commits, %d events, %d origin requests\n\n",
		r.Seed, r.Seconds, r.Tenants, r.Reads, r.Commits, r.Events, r.Asked)
	fmt.Fprintln(w, "fault\ttimes\treads\tfresh\tprovisional\tstale\tfailed\tcritical answered\treference answered\t")
	for _, p := range r.Phases {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t\n", p.Name, p.Times, p.Reads, p.Fresh, p.Provisional, p.Stale, p.Failed,
			percent(p.CriticalAnswered, p.Critical), percent(p.ReferenceAnswered, p.Reference))
	}
	fmt.Fprintf(w, "\noldest FRESH answer: %s after its successor was announced, the bound is %s; %s after one that nobody announced\n",
		r.OldestFresh, r.Bound, r.OldestUnannounced)
	for _, s := range r.Liveness {
		met := ""
		if !s.Met() {
			met = "  MISSED"
		}
		fmt.Fprintf(w, "%s: %s of %d, at least %.1f %%%s; others %v\n", s.Name, percent(s.Part, s.Of), s.Of, 100*s.Least, met, s.Others)
	}
	if len(r.Unseen) > 0 {
		fmt.Fprintf(w, "too few reads were answered within: %s\n", strings.Join(r.Unseen, ", "))
	}
	fmt.Fprintf(w, "violations: %d %v\n", r.Violations, r.ByRule)
	for _, h := range r.Histories {
		fmt.Fprintf(w, "\n%s", h)
	}
	return w.Flush()
}

func percent(part, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(of))
}
