// Command chaos tries to catch a node of Tenantry breaking its promise: it runs a
// real node, a real Redis and an origin under faults, and checks every answer. Its
// other commands show that it would, and measure a node in the same way.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tenantry/tenantry/cmd/chaos/nemesis"
	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit status: 0, 1 if the promise was broken or liveness missed,
// 2 if nothing is known.
func run(args []string, out, errs io.Writer) int {
	logging.Disable() // go-redis writes each failed dial to stderr
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := command()
	c.SetArgs(args)
	c.SetOut(out)
	c.SetErr(errs)
	err := c.ExecuteContext(ctx)
	switch {
	case err == nil && ctx.Err() == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(errs, "chaos: interrupted")
		return 2
	default:
		fmt.Fprintln(errs, "chaos:", err)
		if errors.Is(err, errBroken) || errors.Is(err, errUnsteady) || errors.Is(err, errMissed) || errors.Is(err, errNotWhole) {
			return 1
		}
		return 2
	}
}

var errBroken = errors.New("the promise was broken, or too few answers were fresh")

// defaults returns what "make chaos" does: everything that the promise depends on as
// a node has it by default, but for shorter TTLs. The lists of 1,000 tenants are read
// again within 3 s of a doubt. An event that only invalidates costs a read of the
// origin: with many more changes less than 99.9 % of the reads are from memory.
func defaults() trial.Config {
	return trial.Config{
		Seed: 1, For: 10 * time.Minute, Tenants: 1000, Hot: 250, Writes: 4, Reads: 1500, Readers: 48, Dawdling: 10,
		Heartbeat: time.Second, ProofTTL: 3 * time.Second, Bound: 4 * time.Second, TTL: time.Minute, MaxStale: 5 * time.Second,
		Hold: 6 * time.Second, Quiet: 14 * time.Second, Resyncs: 1500,
	}
}

// several is how many nodes make a cluster.
const several = 2

func command() *cobra.Command {
	cfg := defaults()
	var output, keep string
	var faults []string
	c := &cobra.Command{
		Use:   "chaos",
		Short: "Try to catch a node breaking its promise",
		Long: `Starts a node, a redis-server, an origin and proxies between them; changes items,
publishes, and reads; brings faults, one at a time; and checks every answer against
what the origin really had. Exit status 1 if an answer broke the promise or too few
were fresh, with the seed and the shortest history; 2 if the run itself failed.

With several nodes, clients ask any of them. There are faults between the nodes, too,
and exit status 1 says as well that a node that ran did not answer although the origin
was well.

Faults: ` + strings.Join(nemesis.Names(1), ", ") + `.
Of several nodes: ` + strings.Join(nemesis.Names(several)[len(nemesis.Names(1)):], ", ") + `.`,
		Example:       "  chaos --for 10m --seed 7\n  chaos --for 1m --faults bus-freeze,node-stop -o json\n  chaos --nodes 3 --for 2m --faults node-kill,gossip-cut,split",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := nemesis.Check(faults, cfg.Nodes); err != nil {
				return err
			}
			cfg.Faults = faults
			return judged(c, cfg, keep, output, errBroken, trial.Run)
		},
	}
	f := c.Flags()
	sizeFlags(f, &cfg)
	loadFlags(f, &cfg)
	outputFlags(f, &keep, &output)
	f.StringSliceVar(&faults, "faults", nil, "the types of faults; default: all")
	f.IntVar(&cfg.Resyncs, "resyncs", cfg.Resyncs, "the node's coherence.resync_per_second")
	f.DurationVar(&cfg.Hold, "hold", cfg.Hold, "about how long a fault lasts")
	f.DurationVar(&cfg.Quiet, "quiet", cfg.Quiet, "the time between two")
	f.IntVar(&cfg.Nodes, "nodes", 1, "how many nodes; several are a cluster")
	f.BoolVar(&cfg.Overlap, "overlap", false, "bring faults of node, bus and origin at the same time")
	c.AddCommand(mutationsCommand(), soakCommand(), recoveryCommand(), wakeCommand(), e2eCommand(), moveCommand(), upgradeCommand(), handoffCommand(), splitCommand(), scaleCommand())
	return c
}

// sizeFlags are those of a run with one node and one number of tenants.
func sizeFlags(f *pflag.FlagSet, cfg *trial.Config) {
	f.DurationVar(&cfg.For, "for", cfg.For, "how long")
	f.IntVar(&cfg.Tenants, "tenants", cfg.Tenants, "how many tenants")
	f.IntVar(&cfg.Hot, "hot", cfg.Hot, "how many of them get most of the changes")
}

// loadFlags are those of the traffic and of the node.
func loadFlags(f *pflag.FlagSet, cfg *trial.Config) {
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "what changes, reads and faults follow from")
	f.Float64Var(&cfg.Writes, "writes", cfg.Writes, "changes per second")
	f.Float64Var(&cfg.Reads, "reads", cfg.Reads, "requests per second; a quarter are batches of 24")
	f.IntVar(&cfg.Dawdling, "dawdling", cfg.Dawdling, "how many of a thousand good origin answers are slow")
	f.IntVar(&cfg.Readers, "readers", cfg.Readers, "requests at the same time")
	f.DurationVar(&cfg.Bound, "bound", cfg.Bound, "the node's coherence.bound")
	f.DurationVar(&cfg.ProofTTL, "proof-ttl", cfg.ProofTTL, "the node's coherence.proof_ttl")
	f.DurationVar(&cfg.Heartbeat, "heartbeat", cfg.Heartbeat, "the node's redis.heartbeat")
	f.DurationVar(&cfg.TTL, "ttl", cfg.TTL, "the ttl of critical kinds")
	f.DurationVar(&cfg.MaxStale, "max-stale", cfg.MaxStale, "the max_stale of critical kinds")
	f.StringVar(&cfg.Binary, "binary", "bin/tenantry", "the node's")
}

func outputFlags(f *pflag.FlagSet, keep, output *string) {
	f.StringVar(keep, "keep", "", "a folder for configurations and logs; default: a temporary one")
	f.StringVarP(output, "output", "o", "text", "text or json")
}

// write writes a result for programs, or lets it be printed for people.
func write(out io.Writer, output string, res any, printed func() error) error {
	if output != "json" {
		return printed()
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(res)
}
