package trial

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// Soak returns a run without faults that shows whether a node stays as it is:
// about 500 events and 1,000 requests a second of 2,000 tenants, of which every
// entry expires within the run.
func Soak(seed uint64, binary, dir string) Config {
	return Config{
		Binary: binary, Dir: dir, Seed: seed, For: 10 * time.Minute, Tenants: 2000, Hot: 50, Writes: 400, Reads: 1000, Readers: 48,
		Heartbeat: time.Second, ProofTTL: 3 * time.Second, Bound: 4 * time.Second, TTL: 5 * time.Minute, MaxStale: 5 * time.Minute,
		Dawdling: 10, Calm: true, Sample: 5 * time.Second,
	}
}

// Sample is what the node took at a time of the run, and had done until then.
type Sample struct {
	Seconds    float64 `json:"seconds"`
	Resident   float64 `json:"resident_bytes"`
	Heap       float64 `json:"heap_bytes"`
	Goroutines float64 `json:"goroutines"`
	Files      float64 `json:"open_files"`
	Tenants    float64 `json:"active_tenants"`
	Entries    float64 `json:"entries"`
	Bytes      float64 `json:"charged_bytes"`
	Requests   float64 `json:"requests"`
	Asked      uint64  `json:"origin_requests"`
}

// sample looks at the node until ctx ends.
func (r *run) sample(ctx context.Context) error {
	for world.Pause(ctx, r.Sample) {
		m, err := r.world.Metrics(ctx)
		if err != nil {
			return unlessOver(ctx, err)
		}
		r.samples = append(r.samples, Sample{
			Seconds: r.log.Now().Seconds(), Resident: m["process_resident_memory_bytes"], Heap: m["go_memstats_heap_inuse_bytes"],
			Goroutines: m["go_goroutines"], Files: m["process_open_fds"], Tenants: m["tenantry_active_tenants"],
			Entries: m["tenantry_entries"], Bytes: m["tenantry_bytes"], Requests: m["tenantry_requests_total"], Asked: r.origin.Asked(),
		})
	}
	return nil
}

// Steady says that a run without faults had no violation, that every read had an
// answer, and that the node does not grow.
func (r *Result) Steady() bool {
	return len(r.Failures) == 0 && r.Violations == 0 && r.Flat()
}

// Flat says that neither the node's memory nor its goroutines grow.
func (r *Result) Flat() bool { return r.memory().Flat() && r.goroutines().Flat() }

// memory and goroutines say how the node grew.
func (r *Result) memory() Growth {
	return growth(r.Samples, func(s *Sample) float64 { return s.Resident }, r.slack)
}

func (r *Result) goroutines() Growth {
	return growth(r.Samples, func(s *Sample) float64 { return s.Goroutines }, flatGoroutines)
}

// PrintSoak writes what a run without faults took: a row a minute, or ten.
func (r *Result) PrintSoak(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "seed %d, %.0f s, %d tenants\n", r.Seed, r.Seconds, r.Tenants)
	r.printRates(w)
	fmt.Fprintln(w, "seconds\tresident MB\theap MB\tgoroutines\topen files\ttenants\tentries\tcharged MB\torigin requests\t")
	step := min(60, r.Seconds/10)
	next := step
	for i := range r.Samples {
		if s := &r.Samples[i]; s.Seconds >= next || i+1 == len(r.Samples) {
			fmt.Fprintf(w, "%.0f\t%.1f\t%.1f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%d\t\n",
				s.Seconds, s.Resident/1e6, s.Heap/1e6, s.Goroutines, s.Files, s.Tenants, s.Entries, s.Bytes/1e6, s.Asked)
			next += step
		}
	}
	r.printVerdicts(w)
	return w.Flush()
}

// printRates writes what was really reached each second.
func (r *Result) printRates(w io.Writer) {
	requests := 0.0
	if n := len(r.Samples); n > 1 {
		first, last := &r.Samples[0], &r.Samples[n-1]
		requests = (last.Requests - first.Requests) / (last.Seconds - first.Seconds)
	}
	fmt.Fprintf(w, "each second: %.0f events, %.0f requests that read %.0f entries, %.0f origin requests\n\n",
		float64(r.Events)/r.Seconds, requests, float64(r.Reads)/r.Seconds, float64(r.Asked)/r.Seconds)
}

func (r *Result) printVerdicts(w io.Writer) {
	failed := 0
	for _, n := range r.Failures {
		failed += n
	}
	memory, goroutines := r.memory(), r.goroutines()
	fmt.Fprintf(w, "\nreads without an answer: %d of %d %v\nviolations: %d %v\n", failed, r.Reads, r.Failures, r.Violations, r.ByRule)
	fmt.Fprintf(w, "resident memory, median of the middle and of the last third: %.1f, %.1f MB: %s\n", memory.Middle/1e6, memory.Last/1e6, memory)
	fmt.Fprintf(w, "goroutines, the same: %.0f, %.0f: %s\n", goroutines.Middle, goroutines.Last, goroutines)
	fmt.Fprintf(w, "oldest FRESH answer: %s after its successor was announced, the bound is %s\n", r.OldestFresh, r.Bound)
	for _, h := range r.Histories {
		fmt.Fprintf(w, "\n%s", h)
	}
}
