package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

func scaleCommand() *cobra.Command {
	cfg, sizes := trial.Scaling(1, "", ""), []int{1, 2, 4, 8}
	var output, keep string
	c := &cobra.Command{
		Use:   "scale",
		Short: "Measure what a node takes in clusters of several sizes",
		Long: `Runs clusters of several sizes, one after another, under the same load, and prints
what a node of each takes: messages, channels, CPU and memory. Exit status 1 if an
answer broke the promise.`,
		Example: "  chaos scale\n  chaos scale --sizes 1,3 --for 1m -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(sizes) == 0 {
				return errors.New("--sizes: at least one")
			}
			return judged(c, cfg, keep, output, errBroken, func(ctx context.Context, cfg trial.Config) (*trial.Scales, error) {
				return trial.Grow(ctx, cfg, sizes)
			})
		},
	}
	f := c.Flags()
	f.IntSliceVar(&sizes, "sizes", sizes, "how many nodes")
	f.DurationVar(&cfg.For, "for", cfg.For, "how long each is measured")
	f.IntVar(&cfg.Tenants, "tenants", cfg.Tenants, "how many tenants")
	loadFlags(f, &cfg)
	outputFlags(f, &keep, &output)
	return c
}
