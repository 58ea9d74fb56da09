package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

var errNotWhole = errors.New("the cluster missed what it is to keep")

func e2eCommand() *cobra.Command {
	cfg, play := trial.FromEndToEnd(1, "", ""), trial.DefaultPlay()
	var output, keep string
	c := &cobra.Command{
		Use:   "e2e",
		Short: "Add, kill and freeze nodes of a cluster under traffic, from end to end",
		Long: `Runs five nodes, a redis-server and an origin, with traffic through all nodes while
values change all the time. One node is added, one killed, one stopped for a while.
Exit status 1 if an answer was wrong, if a node that ran did not answer a read, if a
read took longer than a second after the kill, or if a channel has another number of
subscribers than it should have once all is quiet.`,
		Example: "  chaos e2e\n  chaos e2e --nodes 3 --quiet 5s -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return perform(c, cfg, play, keep, output)
		},
	}
	f := c.Flags()
	f.IntVar(&cfg.Nodes, "nodes", cfg.Nodes, "how many nodes there are at first")
	f.IntVar(&cfg.Tenants, "tenants", cfg.Tenants, "how many tenants")
	f.IntVar(&cfg.Hot, "hot", cfg.Hot, "how many of them get most of the changes")
	f.DurationVar(&play.Quiet, "quiet", play.Quiet, "how long nothing happens after each step")
	f.DurationVar(&play.Freeze, "freeze", play.Freeze, "how long a node is stopped")
	f.DurationVar(&play.Settle, "settle", play.Settle, "the most until every channel has its subscribers")
	f.DurationVar(&play.Slowest, "slowest", play.Slowest, "the most that a read may take after the kill")
	loadFlags(f, &cfg)
	outputFlags(f, &keep, &output)
	return c
}

// perform runs a play on a cluster.
func perform(c *cobra.Command, cfg trial.Config, play trial.Play, keep, output string) error {
	if cfg.Nodes < several {
		return errors.New("--nodes: at least 2")
	}
	return judged(c, cfg, keep, output, errNotWhole, func(ctx context.Context, cfg trial.Config) (*trial.EndResult, error) {
		return trial.EndToEnd(ctx, cfg, play)
	})
}
