package main

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

// within runs with a folder for configurations and logs: the one to keep, or a
// temporary one.
func within[T any](ctx context.Context, cfg trial.Config, keep string, run func(context.Context, trial.Config) (T, error)) (res T, err error) {
	cfg.Dir = keep
	if keep == "" {
		dir, err := os.MkdirTemp("", "chaos")
		if err != nil {
			return res, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		cfg.Dir = dir
	}
	if err := absolute(&cfg); err != nil {
		return res, err
	}
	return run(ctx, cfg)
}

// verdict is what a run that can be good or bad comes to.
type verdict interface {
	Print(out io.Writer) error
	Good() bool
}

// judged runs, writes what came of it, and returns the error given if that is not good.
func judged[V verdict](c *cobra.Command, cfg trial.Config, keep, output string, bad error, run func(context.Context, trial.Config) (V, error)) error {
	res, err := within(c.Context(), cfg, keep, run)
	if err != nil {
		return err
	}
	err = write(c.OutOrStdout(), output, res, func() error { return res.Print(c.OutOrStdout()) })
	if err == nil && !res.Good() {
		err = bad
	}
	return err
}

// absolute makes the paths good in any folder, and the folder exist.
func absolute(cfg *trial.Config) (err error) {
	for _, path := range []*string{&cfg.Binary, &cfg.Previous, &cfg.Dir} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	return os.MkdirAll(cfg.Dir, 0o700)
}
