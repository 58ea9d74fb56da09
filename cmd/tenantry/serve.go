package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/cmd/tenantry/node"
)

func serveCommand() *cobra.Command {
	var file string
	var insecure bool
	c := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Run a node",
		Long: `Runs one node until SIGTERM, Ctrl-C or "tenantry drain": it then stops being ready,
leaves the ring, hands its tenants over to the other nodes, answers what still arrives,
and ends. cluster.drain_timeout bounds that; a second signal ends it at once. SIGHUP reads the
configuration again: the log level and the limits of tenants are taken up, other
changes wait for a restart and are logged, and one with mistakes changes nothing.

Every key of the configuration can also be set by a variable: listen.rpc by
TENANTRY_LISTEN_RPC, and so on. REDIS_HOST, REDIS_PORT, REDIS_USERNAME and
REDIS_PASSWORD work too. "tenantry config show" prints what comes of it.`,
		Example: "  tenantry serve --config tenantry.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			return serve(c.Context(), file, cfg, insecure, c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&file, "config", "", "the configuration `FILE`; without it, defaults and variables")
	c.Flags().BoolVar(&insecure, "insecure", false, "serve beyond loopback although nobody is asked who they are")
	return c
}

// loadConfig reads a configuration; its mistakes end the command with status 2.
func loadConfig(file string) (*config.Config, error) {
	cfg, err := config.Load(file, os.Environ())
	if err != nil {
		return nil, &exit{exitUsage, fmt.Errorf("the configuration has mistakes:\n%w", err)}
	}
	return cfg, nil
}

func serve(ctx context.Context, file string, cfg *config.Config, insecure bool, errs io.Writer) error {
	if reasons := config.Insecure(cfg); len(reasons) > 0 && !insecure {
		return &exit{exitUsage, fmt.Errorf("not started, because it would be open to everybody:\n  %s\nlisten on loopback, or say --insecure if the network keeps strangers out",
			strings.Join(reasons, "\n  "))}
	}
	r := newReloader(file, cfg)
	defer r.stop()
	log := levelledLogger(&cfg.Telemetry, &r.level, errs)
	for _, text := range notices(cfg) {
		log.Warn("the configuration needs attention", "note", text)
	}
	sizeCollector(int64(cfg.Limits.NodeBytes))
	n, err := node.New(cfg, version, log, nil)
	if err != nil {
		return &exit{exitUsage, err}
	}
	log.Info("serving", "rpc", n.RPC(), "admin", n.Admin(), "version", version)
	reloads := make(chan struct{})
	defer func() { <-reloads }()
	reloading, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer close(reloads)
		r.run(reloading, n, log)
	}()
	err = n.Run(ctx)
	log.Info("stopped")
	return err
}

// notices are what an operator should know of a configuration that is valid.
func notices(cfg *config.Config) []string {
	all := config.NotYet(cfg)
	if set, err := cfg.Kinds.Set(); err == nil {
		all = append(all, set.Warnings()...)
	}
	return all
}

// logger returns the logger that the configuration asks for.
func logger(t *config.Telemetry, w io.Writer) *slog.Logger {
	return levelledLogger(t, &slog.LevelVar{}, w)
}

// levelledLogger is logger with a level that can be changed.
func levelledLogger(t *config.Telemetry, level *slog.LevelVar, w io.Writer) *slog.Logger {
	level.Set(levelOf(t))
	o := &slog.HandlerOptions{Level: level}
	if t.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// levelOf returns the level of a checked configuration; info if it has none.
func levelOf(t *config.Telemetry) (level slog.Level) {
	_ = level.UnmarshalText([]byte(t.LogLevel))
	return level
}

// Sizing of the garbage collector, unless GOGC and GOMEMLIMIT say otherwise. A
// node's garbage is that of its requests, which a small heap collects far too
// often: 400 measured 44 % more reads a second than 100. The memory limit makes
// it collect more often again before a full cache has twice its budget.
const (
	collectAt  = 400
	limitSpare = 256 << 20
)

func sizeCollector(nodeBytes int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(2*nodeBytes + limitSpare)
	}
}

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "config", Short: "Check or show a configuration", Example: "  tenantry config check tenantry.yaml",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		&cobra.Command{
			Use:     "check FILE",
			Short:   "Validate a configuration: every mistake at once, with its line and key",
			Long:    "Validates a configuration file together with the TENANTRY_… variables and the\nkinds file that it names. Exit status 2 if there are mistakes.",
			Example: "  tenantry config check tenantry.yaml",
			Args:    cobra.ExactArgs(1),
			RunE:    func(c *cobra.Command, args []string) error { return configCheck(c, args[0]) },
		},
		configShowCommand(),
	)
	return c
}

func configCheck(c *cobra.Command, file string) error {
	cfg, err := loadConfig(file)
	if err != nil {
		return err
	}
	for _, text := range notices(cfg) {
		fmt.Fprintln(c.OutOrStdout(), "note: "+text)
	}
	for _, text := range config.Insecure(cfg) {
		fmt.Fprintln(c.OutOrStdout(), "note: needs --insecure: "+text)
	}
	fmt.Fprintln(c.OutOrStdout(), file+": valid")
	return nil
}

func configShowCommand() *cobra.Command {
	var file string
	var defaults bool
	c := &cobra.Command{
		Use:     "show",
		Short:   "Print the effective configuration, secrets masked",
		Example: "  tenantry config show --config tenantry.yaml\n  tenantry config show --defaults > tenantry.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if defaults {
				return config.Example(c.OutOrStdout())
			}
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			return config.Show(c.OutOrStdout(), cfg)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the configuration `FILE`; without it, defaults and variables")
	c.Flags().BoolVar(&defaults, "defaults", false, "print every key with its default and what it means instead")
	return c
}
