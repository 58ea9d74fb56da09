package main

import (
	"os"
	"path/filepath"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

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
