package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

func wakeCommand() *cobra.Command {
	cfg, sleep := trial.Waking(1, "", ""), trial.DefaultSleep()
	var output, keep string
	c := &cobra.Command{
		Use:   "wake",
		Short: "Stop nodes again and again, and check what they answer when they wake",
		Long: `Runs nodes beside each other, stops each (SIGSTOP) while everything that it holds
changes, lets it go on, and reads at once: by readers that were waiting, and by new
ones. Exit status 1 if an answer broke the promise.`,
		Example: "  chaos wake\n  chaos wake --nodes 2 --times 4 --stop 5s -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return judged(c, cfg, keep, output, errBroken, func(ctx context.Context, cfg trial.Config) (*trial.Woken, error) {
				return trial.Wake(ctx, cfg, sleep)
			})
		},
	}
	f := c.Flags()
	f.IntVar(&cfg.Tenants, "tenants", cfg.Tenants, "how many tenants each node has")
	f.IntVar(&sleep.Nodes, "nodes", sleep.Nodes, "how many nodes, each with a bus and an origin of its own")
	f.IntVar(&sleep.Times, "times", sleep.Times, "how many wake-ups of all nodes together")
	f.DurationVar(&sleep.Stop, "stop", sleep.Stop, "how long a node is stopped")
	f.DurationVar(&sleep.Pause, "pause", sleep.Pause, "how long it runs between")
	f.Float64Var(&sleep.Burst, "burst", sleep.Burst, "requests of new readers per second, in the first second after a node wakes")
	loadFlags(f, &cfg)
	outputFlags(f, &keep, &output)
	return c
}
