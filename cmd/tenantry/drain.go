package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc/client"
)

func drainCommand() *cobra.Command {
	var a access
	var noWait bool
	c := &cobra.Command{
		Use:   "drain NODE",
		Short: "Have a node hand over its tenants, leave the cluster and end",
		Long: `Asks a node, by its name, to leave, as SIGTERM does: it stops being ready, leaves the
ring, hands its tenants over to the other nodes, answers what still arrives, and ends.
cluster.drain_timeout of that node bounds the handing over. The command shows the
progress and returns when the node has left; Ctrl-C ends the watching, not the draining.
Exit status 1 if there is no such node, or if it died before it had left.`,
		Example: "  tenantry drain node-2\n  tenantry drain node-2 --server http://10.0.0.7:7070 --no-wait",
		Args:    cobra.ExactArgs(1),
	}
	a.flags(c)
	c.Flags().BoolVar(&noWait, "no-wait", false, "return as soon as the draining has begun")
	c.RunE = func(c *cobra.Command, args []string) error {
		node, err := a.client()
		if err != nil {
			return err
		}
		d := draining{access: &a, client: node, node: args[0], progress: newProgress(c.ErrOrStderr())}
		if err := d.begin(c.Context()); err != nil {
			return err
		}
		if !noWait {
			err = d.watch(c.Context())
		}
		if d.progress.end(); err != nil {
			return err
		}
		return d.print(c)
	}
	return c
}

// draining is a node that drains, as it is watched.
type draining struct {
	*access
	client   *client.Client
	node     string
	progress *progress
	total    uint64 // tenants that it had
	left     uint64 // that it still has
	state    tenantryv1.Member_State
	seen     bool // draining, by the member that is asked
	begun    time.Time
}

func (d *draining) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	res, err := d.client.Drain(ctx, d.node)
	if err != nil {
		return d.failed(err)
	}
	d.begun = time.Now()
	d.total, d.left, d.state = res.GetRemainingTenants(), res.GetRemainingTenants(), tenantryv1.Member_STATE_DRAINING
	return nil
}

const (
	// drainPoll is the time between two looks at how far a node is.
	drainPoll = 200 * time.Millisecond
	// drainUnseen is by when every member has seen that a node drains: one that is ready
	// then has left meanwhile, and was started again.
	drainUnseen = 10 * time.Second
)

// watch returns when the node has left.
func (d *draining) watch(ctx context.Context) error {
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for d.state == tenantryv1.Member_STATE_DRAINING {
		d.progress.say(fmt.Sprintf("%s: %d of %d tenants handed over", d.node, d.total-min(d.left, d.total), d.total))
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return &exit{exitUnreachable, errors.New("no longer watched; the node goes on draining")}
		}
		if err := d.look(ctx); err != nil {
			return err
		}
	}
	if d.state == tenantryv1.Member_STATE_DEAD {
		return &exit{exitNo, fmt.Errorf("%s died before it had left, with %d of %d tenants: others read them from the origin", d.node, d.left, d.total)}
	}
	return nil
}

// look asks how far the node is. One that is asked about itself and does not answer
// any longer has ended.
func (d *draining) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	res, err := d.client.Members(ctx)
	switch {
	case err != nil && ctx.Err() == nil && !connect.IsWireError(err):
		d.state, d.left = tenantryv1.Member_STATE_LEFT, 0
		return nil
	case err != nil:
		return d.failed(err)
	}
	d.state = tenantryv1.Member_STATE_LEFT
	for _, m := range res.GetMembers() {
		if m.GetName() == d.node {
			d.see(m)
		}
	}
	if d.state == tenantryv1.Member_STATE_LEFT {
		d.left = 0
	}
	return nil
}

// see takes the node's state as another member sees it: late, and suspect if it did not
// answer a probe in time. One that is ready again has left, and was started again.
func (d *draining) see(m *tenantryv1.Member) {
	switch state := m.GetState(); state {
	case tenantryv1.Member_STATE_DRAINING:
		d.seen = true
	case tenantryv1.Member_STATE_SUSPECT:
	case tenantryv1.Member_STATE_JOINING, tenantryv1.Member_STATE_READY:
		if d.seen || time.Since(d.begun) > drainUnseen {
			return
		}
	default:
		d.state = state
		return
	}
	d.state, d.left = tenantryv1.Member_STATE_DRAINING, m.GetActiveTenants()
}

func (d *draining) print(c *cobra.Command) error {
	if d.output == "json" {
		return printMessage(c.OutOrStdout(), &tenantryv1.DrainResponse{Node: d.node, RemainingTenants: d.left})
	}
	text := fmt.Sprintf("%s has left; it had %s", d.node, counted(int(d.total), "tenant"))
	if d.state == tenantryv1.Member_STATE_DRAINING {
		text = fmt.Sprintf("%s drains: %s to hand over", d.node, counted(int(d.left), "tenant"))
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), text)
	return err
}
