package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

// within runs with a folder for configurations and logs: the one to keep, or a
// temporary one.
func within[T any](ctx context.Context, cfg trial.Config, keep string, run func(context.Context, trial.Config) (*T, error)) (*T, error) {
	cfg.Dir = keep
	if keep == "" {
		dir, err := os.MkdirTemp("", "chaos")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		cfg.Dir = dir
	}
	if err := absolute(&cfg); err != nil {
		return nil, err
	}
	return run(ctx, cfg)
}

// absolute makes the paths good in any folder, and the folder exist.
func absolute(cfg *trial.Config) (err error) {
	if cfg.Binary, err = filepath.Abs(cfg.Binary); err != nil {
		return err
	}
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return err
	}
	return os.MkdirAll(cfg.Dir, 0o700)
}
