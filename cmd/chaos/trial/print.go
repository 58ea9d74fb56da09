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
	return r.Violations == 0 && len(r.Unseen) == 0 && len(r.Errors) == 0 && !slices.ContainsFunc(r.Liveness, func(s Share) bool { return !s.Met() })
}

// Print writes the summary for people.
func (r *Result) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "seed %d, %.0f s, %s%d tenants: %d reads checked, %d commits, %d events, %d origin requests\n\n",
		r.Seed, r.Seconds, r.nodes(), r.Tenants, r.Reads, r.Commits, r.Events, r.Asked)
	fmt.Fprint(w, "fault\ttimes\treads\tfresh\tprovisional\tstale\tfailed\tcritical answered\treference answered\t")
	if r.Nodes > 1 {
		fmt.Fprint(w, "by a node that is gone\terrors\tslowest\t")
	}
	fmt.Fprintln(w)
	for _, p := range r.Phases {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t", p.Name, p.Times, p.Reads, p.Fresh, p.Provisional, p.Stale, p.Failed,
			percent(p.CriticalAnswered, p.Critical), percent(p.ReferenceAnswered, p.Reference))
		if r.Nodes > 1 {
			fmt.Fprintf(w, "%d\t%d\t%.3f s\t", p.Struck, p.Errors, p.Slowest)
		}
		fmt.Fprintln(w)
	}
	if r.Nodes > 1 {
		fmt.Fprintf(w, "\nreads without an answer, sent to a node that ran while the origin was well: %v; and %d while the machine was too busy\n", r.Errors, r.Busy)
		for _, m := range r.Missing {
			fmt.Fprintln(w, m)
		}
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

// nodes says how many there are, if there are several.
func (r *Result) nodes() string {
	if r.Nodes > 1 {
		return fmt.Sprintf("%d nodes, ", r.Nodes)
	}
	return ""
}

func percent(part, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(of))
}
