package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/subscriber"
)

func eventsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "events",
		Short:   "Look at the events of a live bus",
		Example: "  tenantry events check --for 5m",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(eventsCheckCommand())
	return c
}

func eventsCheckCommand() *cobra.Command {
	var e eventsCheck
	var file, address string
	c := &cobra.Command{
		Use:   "check",
		Short: "Listen to the bus, and tell what its publishers could do better",
		Long: `Listens to everything that is published in the namespace, as a bystander, and
reports for each topic what nodes would refuse, what they would serve as
PROVISIONAL until the origin has confirmed it, and what costs them a read of the
origin. It publishes nothing.

Its user needs +psubscribe and +ping, and the pattern {namespace}:* as it stands
(Redis compares the pattern itself): ACL SETUSER … &crm:* +psubscribe +ping

Exit status 1 if an event would be refused, 3 if Redis cannot be reached.`,
		Example: "  tenantry events check\n  tenantry events check --config tenantry.yaml --for 1h --tenant 123 -o json",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&file, "config", "", "the node's configuration `FILE`, for its redis and kinds sections")
	c.Flags().StringVar(&address, "redis", "", "the `ADDRESS` of Redis instead")
	c.Flags().DurationVar(&e.duration, "for", 30*time.Second, "how long to listen; Ctrl-C ends it earlier")
	c.Flags().StringVar(&e.tenant, "tenant", "", "listen to one tenant only")
	c.Flags().StringVarP(&e.output, "output", "o", "text", "text or json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := e.prepare(file, address); err != nil {
			return err
		}
		return e.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
	}
	return c
}

// eventsCheck listens, tallies and prints.
type eventsCheck struct {
	duration time.Duration
	tenant   string
	output   string
	bus      subscriber.Config
	end      *time.Timer // of the listening

	mu    sync.Mutex
	tally *tally
}

func (e *eventsCheck) prepare(file, address string) error {
	if e.output != "text" && e.output != "json" {
		return fmt.Errorf("--output %q: text or json", e.output)
	}
	if e.duration <= 0 {
		return fmt.Errorf("--for %v: must be positive", e.duration)
	}
	if e.tenant != "" && !subscriber.IsTenant(e.tenant) {
		return fmt.Errorf("--tenant %q: %w", e.tenant, subscriber.ErrChannel)
	}
	cfg, err := loadConfig(file)
	if err != nil {
		return err
	}
	set, err := cfg.Kinds.Set()
	if err != nil {
		return &exit{exitUsage, err}
	}
	e.tally = newTally(set)
	e.bus, err = busOf(file, address)
	return err
}

// connectPatience is how long a first connection may take, to a server that accepts it and
// says nothing.
const connectPatience = 10 * time.Second

func (e *eventsCheck) run(parent context.Context, out, errs io.Writer) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	e.end = time.AfterFunc(connectPatience+e.duration, cancel)
	defer e.end.Stop()
	var progress sync.WaitGroup
	stop := make(chan struct{})
	if terminal(errs) {
		progress.Go(func() { e.progress(errs, stop) })
	}
	err := e.listen(ctx)
	close(stop)
	progress.Wait()
	if err != nil {
		return &exit{exitUnreachable, err}
	}
	report := e.tally.report()
	write := report.write
	if e.output == "json" {
		write = func(w io.Writer) error { return printJSON(w, report) }
	}
	if err := write(out); err != nil {
		return err
	}
	if report.Refused > 0 {
		return &exit{status: exitNo}
	}
	return nil
}

// listen listens until ctx ends, with a connection after the other. It fails
// only if the first cannot be made; the time counts from then.
func (e *eventsCheck) listen(ctx context.Context) error {
	began, pattern := false, e.tenant
	for {
		err := subscriber.Listen(ctx, e.bus, pattern, func() {
			if !began {
				began = true
				e.end.Reset(e.duration)
			}
		}, e.heard)
		switch {
		case err == nil:
			return nil
		case !began && pattern != "" && redis.IsPermissionError(err):
			pattern = "" // the namespace's may be allowed
			continue
		case !began && redis.IsPermissionError(err):
			return fmt.Errorf("%w; the bus user needs +psubscribe on the pattern %s*, exactly", err, e.bus.Channel("", "")[:len(e.bus.Channel("", ""))-1])
		case !began:
			return fmt.Errorf("%w; is Redis at %s?", err, e.bus.Addresses[0])
		}
		e.lost(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (e *eventsCheck) heard(h subscriber.Heard) {
	if e.tenant != "" && h.Tenant != e.tenant {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tally.add(h, time.Now())
}

func (e *eventsCheck) lost(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tally.lost(err)
}

// progress rewrites one line each second.
func (e *eventsCheck) progress(w io.Writer, stop <-chan struct{}) {
	const clearLine = "\r\x1b[K"
	began, tick := time.Now(), time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-stop:
			fmt.Fprint(w, clearLine)
			return
		}
		e.mu.Lock()
		events, topics := e.tally.events, len(e.tally.topics)
		e.mu.Unlock()
		fmt.Fprintf(w, clearLine+"listening, %v of %v: %d events, %d topics", time.Since(began).Round(time.Second), e.duration, events, topics)
	}
}

// terminal says whether somebody is looking.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	stat, err := f.Stat()
	return err == nil && stat.Mode()&os.ModeCharDevice != 0
}
