package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc/client"
)

func tenantsCommand() *cobra.Command {
	var a access
	var prefix, node string
	c := &cobra.Command{
		Use:   "tenants [--prefix P] [--node NAME]",
		Short: "List the tenants that are active",
		Long: `Lists the active tenants of the cluster, or of one node, by name: each once for every
node that has it.`,
		Example: "  tenantry tenants --prefix tenant-00\n  tenantry tenants --node node-1",
		Args:    cobra.NoArgs,
	}
	a.flags(c)
	c.Flags().StringVar(&prefix, "prefix", "", "only tenants whose name begins with `P`")
	c.Flags().StringVar(&node, "node", "", "only those of the node with this `NAME`")
	c.RunE = func(c *cobra.Command, _ []string) error {
		all, err := ask(c, &a, func(ctx context.Context, n *client.Client) (*tenantryv1.ListTenantsResponse, error) {
			return listTenants(ctx, n, prefix, node)
		})
		if err != nil {
			return err
		}
		if a.output == "json" {
			return printMessage(c.OutOrStdout(), all)
		}
		return printTenants(c.OutOrStdout(), all.GetTenants())
	}
	return c
}

// listTenants puts the pages together.
func listTenants(ctx context.Context, n *client.Client, prefix, node string) (*tenantryv1.ListTenantsResponse, error) {
	all := &tenantryv1.ListTenantsResponse{}
	for t, err := range n.Tenants(ctx, prefix, node) {
		if err != nil {
			return nil, err
		}
		all.Tenants = append(all.Tenants, t)
	}
	return all, nil
}

func printTenants(w io.Writer, tenants []*tenantryv1.TenantSummary) error {
	page := newTable(w)
	page.row("TENANT", "STATE", "ENTRIES", "BYTES", "IDLE", "NODE", "PRIMARY")
	for _, t := range tenants {
		page.row(t.GetTenant(), stateText(t.GetState()), count(t.GetEntries()), bytesText(t.GetBytes()), since(t.GetIdle()), t.GetNode(), yesNo(t.GetPrimary()))
	}
	return page.Flush()
}

func membersCommand() *cobra.Command {
	var a access
	c := &cobra.Command{
		Use:   "members",
		Short: "List the members of the cluster, as a node sees them",
		Long: `Lists the members of the cluster as a node sees them, with the tenants that are active
on each, and how many of these are not live yet: being loaded, or taken over from other
nodes. Of a draining member they are those that it still has to hand over.`,
		Example: "  tenantry members",
		Args:    cobra.NoArgs,
	}
	a.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		all, err := ask(c, &a, func(ctx context.Context, n *client.Client) (*tenantryv1.ListMembersResponse, error) {
			return n.Members(ctx)
		})
		if err != nil {
			return err
		}
		if a.output == "json" {
			return printMessage(c.OutOrStdout(), all)
		}
		return printMembers(c.OutOrStdout(), all.GetMembers())
	}
	return c
}

func printMembers(w io.Writer, members []*tenantryv1.Member) error {
	page := newTable(w)
	page.row("MEMBER", "STATE", "BUS", "TENANTS", "LOADING", "ZONE", "ADDRESS", "VERSION")
	for _, m := range members {
		bus := "lost"
		if m.GetBusLive() {
			bus = "live"
		}
		state := strings.ToLower(strings.TrimPrefix(m.GetState().String(), "STATE_"))
		page.row(m.GetName(), state, bus, count(m.GetActiveTenants()), count(m.GetLoadingTenants()), plain(m.GetZone()), plain(m.GetRpcAddress()), plain(m.GetVersion()))
	}
	return page.Flush()
}

// printMessage prints a message as JSON, what is empty included.
func printMessage(w io.Writer, m proto.Message) error {
	raw, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return err
	}
	return printJSON(w, json.RawMessage(raw))
}
