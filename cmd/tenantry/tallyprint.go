package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// write prints the report as a table, and what to do below it.
func (r *checkReport) write(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%d events, %d bytes, %d topics\n", r.Events, r.Bytes, len(r.Topics))
	if r.Interrupted > 0 {
		fmt.Fprintf(&text, "The connection was lost %d times: events were missed. First: %s\n", r.Interrupted, printable(r.Interruptions[0]))
	}
	if r.Events == 0 {
		text.WriteString("Nothing was published. Is the namespace right, and did anything change meanwhile?\n")
	} else {
		text.WriteByte('\n')
		r.table(&text)
	}
	for _, row := range r.Topics {
		row.write(&text)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (r *checkReport) table(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "events\tbytes\trefused\tgaps\tprovisional\tno value\tno version\tno sequence\t  topic: verdict")
	for _, t := range r.Topics {
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t  %s: %s\n", t.Events, t.Bytes, t.refused(), t.Gaps,
			t.Provisional, t.Invalidating, t.Unversioned, t.Unsequenced, printable(t.Topic), t.Verdict)
	}
	_ = w.Flush() // to memory
}

func (r *topicTally) write(out io.Writer) {
	if len(r.Advice) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s", printable(r.Topic))
	if len(r.Kinds) > 0 {
		fmt.Fprintf(out, " (%s)", strings.Join(r.Kinds, ", "))
	}
	fmt.Fprintln(out)
	for _, a := range r.Advice {
		fmt.Fprintln(out, "  - "+a)
	}
	for _, e := range merged(r.Examples) {
		fmt.Fprintf(out, "  e.g. %s: %s %s\n", e.Problem, printable(e.Channel), printable(e.Message))
		if e.Detail != "" {
			fmt.Fprintf(out, "       %s\n", printable(e.Detail))
		}
	}
}

// merged makes one example of those with the same message.
func merged(examples []example) (all []example) {
	for _, e := range examples {
		i := slices.IndexFunc(all, func(a example) bool { return a.Channel == e.Channel && a.Message == e.Message && a.Detail == e.Detail })
		if i < 0 {
			all = append(all, e)
			continue
		}
		all[i].Problem += ", " + e.Problem
	}
	return all
}

// printable keeps what anyone may publish from commanding the terminal, or from
// looking like lines of this program.
func printable(s string) string {
	quoted := fmt.Sprintf("%+q", s)
	plain := strings.ReplaceAll(strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`), `\\`, `\`)
	return strings.ReplaceAll(plain, `\u2026`, "…")
}
