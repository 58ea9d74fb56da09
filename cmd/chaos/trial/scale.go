package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// Scaling returns the run whose load a cluster of each size gets: the same for all.
func Scaling(seed uint64, binary, dir string) Config {
	return Config{
		Binary: binary, Dir: dir, Seed: seed, For: 30 * time.Second, Tenants: 400, Hot: 400, Writes: 200, Reads: 200, Readers: 16,
		Heartbeat: time.Second, ProofTTL: 3 * time.Second, Bound: 4 * time.Second, TTL: 10 * time.Minute, MaxStale: 5 * time.Minute, Calm: true,
	}
}

// Scale is what a node of a cluster takes on average, beside that of one node alone.
type Scale struct {
	Nodes int `json:"nodes"`
	// Published is how many messages there were a second, Messages how many of them a
	// node received, Share the part of them, Least the part that owners must receive:
	// min(1, replicas / nodes).
	Published float64 `json:"messages_published_a_second"`
	Messages  float64 `json:"messages_a_node_a_second"`
	Share     float64 `json:"share"`
	Least     float64 `json:"least_share"`
	Channels  float64 `json:"channels_a_node"`
	Tenants   float64 `json:"tenants_a_node"`
	// CPU is in cores, Resident in bytes.
	CPU      float64 `json:"cpu_a_node"`
	Resident float64 `json:"resident_bytes_a_node"`
	// Reads is how many were checked, Failed how many had no answer.
	Reads      int `json:"reads_checked"`
	Failed     int `json:"reads_failed"`
	Violations int `json:"violations"`
}

// Scales is what clusters of several sizes came to.
type Scales struct {
	Sizes []*Scale `json:"sizes"`
}

// Grow runs clusters of several sizes under the same load, one after another.
func Grow(ctx context.Context, cfg Config, sizes []int) (*Scales, error) {
	dir, all := cfg.Dir, new(Scales)
	for _, size := range sizes {
		cfg.Nodes, cfg.Dir = size, filepath.Join(dir, strconv.Itoa(size))
		one, err := scale(ctx, cfg)
		if err != nil {
			return nil, fmt.Errorf("%d nodes: %w", size, err)
		}
		all.Sizes = append(all.Sizes, one)
	}
	return all, nil
}

func scale(ctx context.Context, cfg Config) (*Scale, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	r, err := begin(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer r.world.Close()
	s := &stage{run: r}
	if err := s.warm(ctx); err != nil {
		return nil, err
	}
	res := &Scale{Nodes: cfg.Nodes, Least: min(1, replicas/float64(cfg.Nodes))}
	measured := false
	err = s.drive(ctx, r.For+startTimeout, func(ctx context.Context) error {
		err := s.measure(ctx, res)
		measured = err == nil && ctx.Err() == nil
		return unlessOver(ctx, err)
	})
	if err == nil && !measured {
		err = errors.New("the run ended before it was measured")
	}
	if err != nil {
		return nil, err
	}
	s.check(true)
	sum := s.run.result()
	res.Reads, res.Violations = sum.Reads, sum.Violations
	for _, n := range sum.Failures {
		res.Failed += n
	}
	return res, nil
}

// measure compares the nodes' figures at both ends of the run.
func (s *stage) measure(ctx context.Context, res *Scale) error {
	const warming = 5 * time.Second // of connections and of the readers
	world.Pause(ctx, warming)
	before, err := s.sums(ctx)
	if err != nil {
		return err
	}
	events, begin := s.announced(), s.log.Now()
	world.Pause(ctx, s.For)
	after, err := s.sums(ctx)
	if err != nil {
		return err
	}
	seconds, nodes := (s.log.Now() - begin).Seconds(), float64(s.Nodes)
	a := func(name string) float64 { return (after[name] - before[name]) / seconds / nodes }
	res.Published = float64(s.announced()-events) / seconds
	res.Messages, res.CPU = a("tenantry_bus_messages_total"), a("process_cpu_seconds_total")
	res.Share = res.Messages / res.Published
	res.Channels, res.Tenants = after["tenantry_subscribed_channels"]/nodes, after["tenantry_active_tenants"]/nodes
	res.Resident = after["process_resident_memory_bytes"] / nodes
	return nil
}

// sums adds the metrics of all nodes up.
func (s *stage) sums(ctx context.Context) (map[string]float64, error) {
	all := make(map[string]float64)
	for _, n := range s.world.Nodes() {
		m, err := n.Metrics(ctx)
		if err != nil {
			return nil, err
		}
		for name, v := range m {
			all[name] += v
		}
	}
	return all, nil
}

// announced returns how many events there were.
func (r *run) announced() (n int) {
	for _, item := range r.log.Items {
		item.View(func(_ []history.Commit, events []history.Event) { n += len(events) })
	}
	return n
}

// Good says that no answer broke the promise.
func (s *Scales) Good() bool {
	return !slices.ContainsFunc(s.Sizes, func(one *Scale) bool { return one.Violations > 0 })
}

// Print writes a row for each size.
func (s *Scales) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "nodes\tpublished/s\tmessages/s\tshare\tmin(1, replicas/N)\tchannels\ttenants\tCPU\tresident MB\treads\tfailed\tviolations\t")
	for _, s := range s.Sizes {
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\t%.3f\t%.3f\t%.0f\t%.0f\t%.3f\t%.1f\t%d\t%d\t%d\t\n", s.Nodes, s.Published, s.Messages, s.Share, s.Least,
			s.Channels, s.Tenants, s.CPU, s.Resident/1e6, s.Reads, s.Failed, s.Violations)
	}
	return w.Flush()
}
