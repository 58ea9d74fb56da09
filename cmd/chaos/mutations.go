package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
is no check. Each is also run once without the mutation, when there must be nothing
to catch. Exit status 1 if a mutation is caught in less than nine of ten seeds.`,
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
		if err := control(ctx, m, binary); err != nil {
			return err
		}
		caught, seconds, shortest := 0, 0.0, ""
		for seed := range seeds {
			res, err := within(ctx, m.Apply(trial.Brief(uint64(seed+1), binary, "")), "", trial.Run)
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
		return errMissed
	}
	return nil
}

var (
	errMissed       = errors.New("a mutation was caught in less than nine of ten seeds")
	errUncontrolled = errors.New("the checker finds fault with a node that breaks no rule")
)

// control shows that it is the mutation that is caught: the same run without it
// has nothing to be caught.
func control(ctx context.Context, m trial.Mutation, binary string) error {
	cfg := m.Apply(trial.Brief(1, binary, ""))
	cfg.Mutation = ""
	res, err := within(ctx, cfg, "", trial.Run)
	if err != nil {
		return fmt.Errorf("%s, without the mutation: %w", m.Name, err)
	}
	if res.Violations > 0 {
		return fmt.Errorf("%s: %w: %v\n%s", m.Name, errUncontrolled, res.ByRule, shorter("", res.Histories))
	}
	return nil
}

func shorter(one string, others []string) string {
	for _, other := range others {
		if one == "" || len(other) < len(one) {
			one = other
		}
	}
	return one
}
