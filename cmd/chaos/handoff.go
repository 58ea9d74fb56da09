package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

func handoffCommand() *cobra.Command {
	cfg, tenants := trial.Handing(1, "", ""), []int{1000, 10_000}
	var output, keep string
	c := &cobra.Command{
		Use:   "handoff",
		Short: "Measure what it takes to hand over many tenants",
		Long: `Runs clusters of three nodes with several numbers of active tenants, one cluster after
another, beside little traffic. One node joins, and another is drained; how long each
took, and what was handed over, is printed. Exit status 1 if an answer was wrong, if a
read had no answer, if a tenant had no subscriber for a while, or if a channel has
another number of subscribers than it should have in the end.`,
		Example: "  chaos handoff\n  chaos handoff --tenants 100,1000 --items 3 -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if cfg.Nodes < several || len(tenants) == 0 || cfg.Items < 1 {
				return errors.New("--nodes: at least 2; --tenants, --items: at least 1")
			}
			return judged(c, cfg, keep, output, errNotWhole, func(ctx context.Context, cfg trial.Config) (*trial.Handoffs, error) {
				return trial.HandOver(ctx, cfg, tenants)
			})
		},
	}
	f := c.Flags()
	f.IntVar(&cfg.Nodes, "nodes", cfg.Nodes, "how many nodes there are at first")
	f.IntSliceVar(&tenants, "tenants", tenants, "how many tenants each cluster has")
	f.IntVar(&cfg.Items, "items", cfg.Items, "how many items of each of five families a tenant has")
	f.DurationVar(&cfg.Leisure, "within", cfg.Leisure, "the nodes' cluster.warm_timeout and drain_timeout; 0: as they are by default")
	loadFlags(f, &cfg)
	outputFlags(f, &keep, &output)
	return c
}
