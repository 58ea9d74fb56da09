// Command tenantry runs a node of Tenantry, asks one, or publishes to its bus.
// See tenantry --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/cobra"
)

// version is set by the linker (make build).
var version = "dev"

// Exit statuses, as every command's help lists them.
const (
	exitNo          = 1 // the answer is no, or not found
	exitUsage       = 2 // usage or bad configuration
	exitUnreachable = 3 // the cluster, the bus or the origin cannot be reached
)

// exit is an error with the status to end with. Without a text, the answer has
// been printed already.
type exit struct {
	status int
	err    error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs a command line and returns its exit status. The first SIGINT or
// SIGTERM asks the command to end; the second ends the process.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	logging.Disable() // go-redis writes each failed dial to stderr; subscriber logs what matters
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	return status(root.ExecuteContext(ctx), errs)
}

// status prints an error and returns the exit status. What is no exit came from
// the command line's own parsing.
func status(err error, errs io.Writer) int {
	if err == nil {
		return 0
	}
	e, ok := errors.AsType[*exit](err)
	if !ok {
		e = &exit{exitUsage, err}
	}
	if text := e.Error(); text != "" {
		fmt.Fprintln(errs, "tenantry: "+text)
	}
	return e.status
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tenantry",
		Short: "A multi-tenant cache cluster that stays honest",
		Long: `Tenantry keeps a SaaS operator's critical data in memory, pushed by events over
Redis pub/sub, reads reference data through, and says of every answer how far it
can be trusted.

Exit status: 0 done, 1 the answer is no or not found, 2 usage or bad
configuration, 3 the cluster cannot be reached.`,
		Example:       "  tenantry demo",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		demoCommand(), serveCommand(), sampleWrapperCommand(), getCommand(), checkCommand(), authorizeCommand(),
		tenantCommand(), tenantsCommand(), invalidateCommand(), membersCommand(), ringCommand(), drainCommand(), publishCommand(), eventsCommand(), configCommand(), versionCommand(),
	)
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  tenantry version", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), "tenantry", version) },
	}
}
