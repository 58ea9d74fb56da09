package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/cmd/tenantry/node"
)

// reloader reads the configuration again at each SIGHUP.
type reloader struct {
	file    string
	hups    chan os.Signal
	level   slog.LevelVar
	running *config.Config
	kinds   []byte // the kinds file as it was at the start
}

// newReloader catches SIGHUP from now on: one that comes early is kept, and does
// not end the process.
func newReloader(file string, cfg *config.Config) *reloader {
	r := &reloader{file: file, hups: make(chan os.Signal, 1), running: cfg, kinds: kindsText(cfg)}
	signal.Notify(r.hups, syscall.SIGHUP)
	return r
}

func (r *reloader) stop() { signal.Stop(r.hups) }

// run reloads until ctx ends.
func (r *reloader) run(ctx context.Context, n *node.Node, log *slog.Logger) {
	for {
		select {
		case <-r.hups:
			r.reload(n, log)
		case <-ctx.Done():
			return
		}
	}
}

// reload takes up what can be taken up. A configuration with mistakes changes
// nothing, and every mistake is logged.
func (r *reloader) reload(n *node.Node, log *slog.Logger) {
	next, err := config.Load(r.file, os.Environ())
	if err != nil {
		log.Error("the configuration has mistakes; the node goes on with what it has", "error", err)
		return
	}
	merged, taken, restart := config.Reload(r.running, next)
	if !slices.Contains(restart, "kinds.file") && !bytes.Equal(kindsText(merged), r.kinds) {
		restart = append(restart, "kinds.file")
	}
	n.Reload(merged)
	r.running = merged
	level := levelOf(&merged.Telemetry)
	r.level.Set(min(r.level.Level(), level)) // what follows shows at either level
	defer r.level.Set(level)
	log.Info("the configuration was read again", "taken", taken)
	if len(restart) > 0 {
		log.Warn("some changes need a restart of the node; their old values go on", "keys", restart)
	}
}

// kindsText returns the text of the kinds file, nil if there is none.
func kindsText(cfg *config.Config) []byte {
	if cfg.Kinds.File == "" {
		return nil
	}
	text, _ := os.ReadFile(cfg.Kinds.File) // read with the configuration already
	return text
}
