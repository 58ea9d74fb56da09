package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

var errUnsteady = errors.New("the node grew, or reads had no answer or a wrong one")

func soakCommand() *cobra.Command {
	cfg := trial.Soak(1, "", "")
	var output, keep string
	c := &cobra.Command{
		Use:   "soak",
		Short: "Show that a node stays as it is for long",
		Long: `Runs a node under a steady load without faults, checks every answer, and looks at
what the node takes each few seconds. Exit status 1 if a read had no answer or a wrong
one, or if memory or goroutines grow: the median of the last third of the run is more
than a twentieth (and 20 goroutines) above that of the middle third.`,
		Example: "  chaos soak\n  chaos soak --for 1m --tenants 100 --sample 1s -o json",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return soak(c, cfg, output, keep) },
	}
	sizeFlags(c.Flags(), &cfg)
	loadFlags(c.Flags(), &cfg)
	outputFlags(c.Flags(), &keep, &output)
	c.Flags().DurationVar(&cfg.Sample, "sample", cfg.Sample, "the time between two looks at the node")
	c.Flags().IntVar(&cfg.Slack, "slack", cfg.Slack, "the bytes by which memory may grow besides; for a run that is too short to warm up")
	return c
}

func soak(c *cobra.Command, cfg trial.Config, output, keep string) error {
	res, err := within(c.Context(), cfg, keep, trial.Run)
	if err != nil {
		return err
	}
	err = write(c.OutOrStdout(), output, res, func() error { return res.PrintSoak(c.OutOrStdout()) })
	if err == nil && !res.Steady() {
		err = errUnsteady
	}
	return err
}
