package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

// least is in how many of ten seeds a mutation must be caught.
const least = 9

func mutationsCommand() *cobra.Command {
	var binary string
	var seeds int
	var only []string
	c := &cobra.Command{
		Use:   "mutations",
		Short: "Show that the checker catches a node that breaks a rule",
		Long: `Runs a node that was built with -tags mutation, and breaks one rule at a time on
purpose, under the faults that should bring it to light. A check that cannot fail
is no check. Exit status 1 if a mutation is caught in less than nine of ten seeds.`,
		Example: "  go build -tags mutation -o bin/tenantry-mutation ./cmd/tenantry\n  chaos mutations --binary bin/tenantry-mutation",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return mutations(c.Context(), c.OutOrStdout(), binary, seeds, only)
		},
	}
	c.Flags().StringVar(&binary, "binary", "bin/tenantry-mutation", "the node's, built with -tags mutation")
	c.Flags().IntVar(&seeds, "seeds", 10, "how many runs for each")
	c.Flags().StringSliceVar(&only, "only", nil, "the mutations to try; default: all")
	return c
}

func mutations(ctx context.Context, out io.Writer, binary string, seeds int, only []string) error {
	missed := false
	for _, m := range trial.Mutations() {
		if len(only) > 0 && !slices.Contains(only, m.Name) {
			continue
		}
		caught, seconds, shortest := 0, 0.0, ""
		for seed := range seeds {
			res, err := mutant(ctx, m, binary, uint64(seed+1))
			if err != nil {
				return fmt.Errorf("%s: %w", m.Name, err)
			}
			if res.Caught() {
				caught++
				seconds += res.TimeToFirstFinding
				shortest = shorter(shortest, res.Histories)
			}
		}
		fmt.Fprintf(out, "%s (%s): caught in %d of %d seeds, on average after %.1f s\n%s\n", m.Name, m.Rule, caught, seeds, seconds/float64(max(caught, 1)), shortest)
		missed = missed || caught*10 < seeds*least
	}
	if missed {
		return errBroken
	}
	return nil
}

func mutant(ctx context.Context, m trial.Mutation, binary string, seed uint64) (*trial.Result, error) {
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cfg := m.Apply(trial.Brief(seed, binary, dir))
	if err := absolute(&cfg); err != nil {
		return nil, err
	}
	return trial.Run(ctx, cfg)
}

func shorter(one string, others []string) string {
	for _, other := range others {
		if one == "" || len(other) < len(one) {
			one = other
		}
	}
	return one
}
