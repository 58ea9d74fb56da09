package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

func recoveryCommand() *cobra.Command {
	cfg := trial.Calmly(1, "", "", 0)
	var output, keep string
	var tenants []int
	var faults []string
	c := &cobra.Command{
		Use:   "recovery",
		Short: "Measure how a node that holds many tenants comes back from one fault",
		Long: `Has a node hold all tenants, brings one fault of its bus, and measures how long it
takes to be doubted, and, from its end, until 99 % of the critical reads of every half
second are fresh and until no tenant is doubtful; and what that costs the origin.
Every answer is checked. Exit status 1 if one broke the promise.`,
		Example: "  chaos recovery\n  chaos recovery --tenants 100 --faults bus-cut -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := recoveries(c.Context(), cfg, keep, tenants, faults)
			if err != nil {
				return err
			}
			err = write(c.OutOrStdout(), output, all, func() error { return trial.PrintRecoveries(c.OutOrStdout(), all) })
			if err == nil && broken(all) {
				err = errBroken
			}
			return err
		},
	}
	f := c.Flags()
	f.IntSliceVar(&tenants, "tenants", []int{100, 1000, 10_000}, "how many tenants; a run for each")
	f.StringSliceVar(&faults, "faults", trial.Strikes(), "the faults; a run for each")
	f.DurationVar(&cfg.Quiet, "quiet", cfg.Quiet, "how long nothing happens before the fault, and all must be well after it")
	f.DurationVar(&cfg.For, "for", cfg.For, "the most that a run may take")
	loadFlags(f, &cfg)
	outputFlags(f, &keep, &output)
	return c
}

// recoveries makes all runs, one at a time.
func recoveries(ctx context.Context, cfg trial.Config, keep string, tenants []int, faults []string) (all []*trial.Recovery, err error) {
	if err := trial.CheckStrikes(faults); err != nil {
		return nil, err
	}
	for _, cfg.Tenants = range tenants {
		for _, fault := range faults {
			res, err := recovery(ctx, cfg, keep, fault)
			if err != nil {
				return nil, fmt.Errorf("%s with %d tenants: %w", fault, cfg.Tenants, err)
			}
			all = append(all, res)
		}
	}
	return all, nil
}

func recovery(ctx context.Context, cfg trial.Config, keep, fault string) (*trial.Recovery, error) {
	if keep != "" {
		keep = filepath.Join(keep, fmt.Sprintf("%s-%d", fault, cfg.Tenants))
	}
	return within(ctx, cfg, keep, func(ctx context.Context, cfg trial.Config) (*trial.Recovery, error) {
		return trial.Recover(ctx, cfg, fault)
	})
}

func broken(all []*trial.Recovery) bool {
	for _, res := range all {
		if res.Violations > 0 {
			return true
		}
	}
	return false
}
