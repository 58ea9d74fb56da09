package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

func moveCommand() *cobra.Command {
	cfg, play := trial.Moving(1, "", ""), trial.DefaultMove()
	var output, keep string
	c := &cobra.Command{
		Use:   "move",
		Short: "Have nodes of a cluster come and go in order under traffic",
		Long: `Runs five nodes with 2,000 active tenants of about 100 entries, a redis-server and an
origin, with traffic through all nodes while values change all the time. One node joins,
one is drained, and all are restarted, one after the other; what moved, and what the
origin was asked for, is printed. Exit status 1 if an answer was wrong, if a read had no
answer, if the 99th percentile of a step is more than three times that of the start, if
a tenant had no subscriber for a while, or if a channel has another number of
subscribers than it should have once all is quiet.`,
		Example: "  chaos move\n  chaos move --nodes 3 --tenants 200 --quiet 5s -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return perform(c, cfg, play, keep, output)
		},
	}
	f := c.Flags()
	moveFlags(f, &cfg, &play)
	outputFlags(f, &keep, &output)
	return c
}

func moveFlags(f *pflag.FlagSet, cfg *trial.Config, play *trial.Play) {
	f.IntVar(&cfg.Nodes, "nodes", cfg.Nodes, "how many nodes there are at first")
	f.IntVar(&cfg.Tenants, "tenants", cfg.Tenants, "how many tenants")
	f.IntVar(&cfg.Items, "items", cfg.Items, "how many items of each of five families a tenant has")
	f.IntVar(&cfg.Hot, "hot", cfg.Hot, "how many tenants get most of the changes")
	f.DurationVar(&play.Quiet, "quiet", play.Quiet, "how long nothing happens after each step")
	f.DurationVar(&play.Settle, "settle", play.Settle, "the most until every channel has its subscribers")
	f.Float64Var(&play.Slower, "slower", play.Slower, "how many times the p99 of the start that of a step may be; 0: any")
	loadFlags(f, cfg)
}
