package main

import (
	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

func upgradeCommand() *cobra.Command {
	cfg, play := trial.Upgrading(1, "", "", ""), trial.DefaultUpgrade()
	var output, keep string
	c := &cobra.Command{
		Use:   "upgrade --previous FILE",
		Short: "Check that nothing is lost while nodes are upgraded, or go back",
		Long: `Runs a cluster of nodes of the previous version with active tenants, and traffic through
all nodes while values change all the time. All are restarted as the new version, one
after the other, and then as the previous one again. What moved, and what the origin was
asked for, is printed. Exit status 1 for the reasons that "chaos move" has.`,
		Example: "  chaos upgrade --previous bin/tenantry-previous\n  chaos upgrade --previous old/tenantry --nodes 5 --tenants 2000 -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return perform(c, cfg, play, keep, output)
		},
	}
	f := c.Flags()
	f.StringVar(&cfg.Previous, "previous", "", "the previous version's binary (required)")
	_ = c.MarkFlagRequired("previous")
	moveFlags(f, &cfg, &play)
	outputFlags(f, &keep, &output)
	return c
}
