package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

func splitCommand() *cobra.Command {
	cfg, parting := trial.FromEndToEnd(1, "", ""), trial.DefaultParting()
	cfg.Nodes = 4
	var output, keep string
	c := &cobra.Command{
		Use:   "split",
		Short: "Part the network of a cluster into halves, and heal it",
		Long: `Runs nodes in network namespaces of their own, parts the network between the halves of
them while both reach Redis and the origin, and heals it, with traffic through all
nodes all the time. It takes root, and the command ip. Exit status 1 if an answer was
wrong or missing, or if there is not one ring again in time.`,
		Example: "  chaos split\n  chaos split --nodes 6 --parted 1m -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if cfg.Nodes < several {
				return errors.New("--nodes: at least 2")
			}
			return judged(c, cfg, keep, output, errNotWhole, func(ctx context.Context, cfg trial.Config) (*trial.SplitResult, error) {
				return trial.Split(ctx, cfg, parting)
			})
		},
	}
	f := c.Flags()
	f.IntVar(&cfg.Nodes, "nodes", cfg.Nodes, "how many nodes, every other one in the second half")
	f.IntVar(&cfg.Tenants, "tenants", cfg.Tenants, "how many tenants")
	f.DurationVar(&parting.Parted, "parted", parting.Parted, "how long the network is in halves")
	f.DurationVar(&parting.Together, "together", parting.Together, "the most until there is one ring again")
	loadFlags(f, &cfg)
	outputFlags(f, &keep, &output)
	return c
}
