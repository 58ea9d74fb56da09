package trial

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Good says that no answer broke the promise.
func (r *Woken) Good() bool { return r.Violations == 0 }

// Print writes the result for people.
func (r *Woken) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d nodes, %d wake-ups after %s each, %.0f s: %d reads checked\n\n", r.Nodes, r.Wakes, r.Stop, r.Seconds, r.Reads)
	fmt.Fprintln(w, "answered within 1 s of waking\treads\tfresh\tprovisional\tstale\tfailed\t")
	for _, p := range []*Phase{&r.Waiting, &r.New} {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t\n", p.Name, p.Reads, p.Fresh, p.Provisional, p.Stale, p.Failed)
	}
	fmt.Fprintf(w, "\nof these without an answer: %v\n", r.Failures)
	fmt.Fprintf(w, "oldest FRESH answer: %s after its successor was announced, the bound is %s\nviolations: %d %v\n", r.OldestFresh, r.Bound, r.Violations, r.ByRule)
	for _, h := range r.Histories {
		fmt.Fprintf(w, "\n%s", h)
	}
	return w.Flush()
}
