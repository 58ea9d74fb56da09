package trial

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/origin"
)

// Handoff is what it takes to move what a node of a cluster has to another.
type Handoff struct {
	Step string `json:"step"`
	// Tenants are those of the cluster, Each is how many entries one of them has.
	Tenants int `json:"tenants"`
	Each    int `json:"entries_each"`
	// Seconds is how long it took: until the node that joins was ready, or the one that
	// leaves had no tenant any longer; Ended until its process had ended.
	Seconds float64 `json:"seconds"`
	Ended   float64 `json:"ended_seconds,omitempty"`
	// PerSecond is how many tenants got another owner.
	PerSecond float64 `json:"tenants_a_second"`
	P99       float64 `json:"p99_seconds"`
	Moves
}

// Handoffs is what clusters of several numbers of tenants came to.
type Handoffs struct {
	Nodes int        `json:"nodes"`
	All   []*Handoff `json:"handoffs"`
	// Missed is what clusters missed that they are to keep.
	Missed []string `json:"missed,omitempty"`
}

// Handing returns the run in which much is handed over beside little traffic.
func Handing(seed uint64, binary, dir string) Config {
	cfg := Moving(seed, binary, dir)
	cfg.Nodes, cfg.Writes, cfg.Reads, cfg.Readers, cfg.Leisure = 3, 10, 50, 8, 5*time.Minute
	return cfg
}

// HandOver has a node join clusters of several numbers of tenants, one after another,
// and another one leave.
func HandOver(ctx context.Context, cfg Config, tenants []int) (*Handoffs, error) {
	dir, all := cfg.Dir, &Handoffs{Nodes: cfg.Nodes}
	play := Play{Quiet: 3 * time.Second, Window: 3 * time.Second, Settle: time.Minute, inOrder: true, acts: (*stage).comesAndGoes}
	for _, n := range tenants {
		cfg.Tenants, cfg.Hot, cfg.Dir = n, min(n, cfg.Hot), filepath.Join(dir, strconv.Itoa(n))
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return nil, err
		}
		res, err := EndToEnd(ctx, cfg, play)
		if err != nil {
			return nil, fmt.Errorf("%d tenants: %w", n, err)
		}
		all.add(res, origin.EntriesOf(cfg.Items))
	}
	return all, nil
}

// add adds what one cluster came to, whose tenants have so many entries.
func (h *Handoffs) add(res *EndResult, each int) {
	for _, s := range res.Steps[1:] {
		one := &Handoff{Step: s.Name, Tenants: res.Tenants, Each: each, Seconds: s.Lasted, P99: s.P99, Moves: s.Moves}
		if s.Name == stepDrain {
			one.Seconds, one.Ended = s.Emptied, s.Lasted
		}
		if one.Seconds > 0 {
			one.PerSecond = one.HandedOver / one.Seconds
		}
		h.All = append(h.All, one)
	}
	for _, missed := range res.missed() {
		h.Missed = append(h.Missed, fmt.Sprintf("%d tenants: %s", res.Tenants, missed))
	}
}

// Good says that nothing is missed.
func (h *Handoffs) Good() bool { return len(h.Missed) == 0 }

// Print writes a row for each step.
func (h *Handoffs) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d nodes at first\n\n", h.Nodes)
	fmt.Fprintln(w, "tenants\tentries each\tstep\tgot another owner\ttaken\tin vain\tentries\tMB\tseconds\tended after\ttenants/s\tCPU\torigin: lists\titems\tas usual\tp99\t")
	for _, o := range h.All {
		fmt.Fprintf(w, "%d\t%d\t%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.1f\t%.0f\t%.1f s\t%d\t%d\t%.0f\t%.1f ms\t\n", o.Tenants, o.Each, o.Step, o.HandedOver, o.Taken, o.InVain,
			o.Entries, o.Bytes/1e6, o.Seconds, o.Ended, o.PerSecond, o.CPU, o.Lists, o.Items, o.Usual, 1e3*o.P99)
	}
	for _, m := range h.Missed {
		fmt.Fprintf(w, "MISSED  %s\n", m)
	}
	return w.Flush()
}
