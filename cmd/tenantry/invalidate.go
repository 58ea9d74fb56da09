package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc/client"
)

func invalidateCommand() *cobra.Command {
	var a access
	var all bool
	c := &cobra.Command{
		Use:   "invalidate [TENANT [KIND KEY]] [--all]",
		Short: "Make an entry known old, or drop what is kept of a tenant, or of all",
		Long: `With a kind and a key, the entry's next read asks the origin. With --all,
everything of the tenant is dropped, or without a tenant, of every tenant that
is active: each is read anew with its next request. --timeout counts for each
call.`,
		Example: "  tenantry invalidate 123 credit-config crm.leads.create\n  tenantry invalidate 123 --all\n  tenantry invalidate --all",
		Args: func(_ *cobra.Command, args []string) error {
			if all && len(args) > 1 || !all && len(args) != 3 {
				return errors.New("invalidate TENANT KIND KEY, invalidate TENANT --all, or invalidate --all")
			}
			return nil
		},
	}
	a.flags(c)
	c.Flags().BoolVar(&all, "all", false, "drop everything of the tenant, or of all active ones")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch len(args) {
		case 3:
			return a.invalidateEntry(c, args[0], args[1], args[2])
		case 1:
			return a.dropTenant(c, args[0])
		}
		return a.dropAll(c)
	}
	return c
}

func (a *access) invalidateEntry(c *cobra.Command, tenant, kind, key string) error {
	nodes, err := ask(c, a, func(ctx context.Context, n *client.Client) ([]string, error) {
		return n.Invalidate(ctx, tenant, kind, key)
	})
	if err != nil {
		return err
	}
	if a.output == "json" {
		return printMessage(c.OutOrStdout(), &tenantryv1.InvalidateEntryResponse{Nodes: nodes})
	}
	return printDone(c.OutOrStdout(), "invalidated", tenant, nodes)
}

func (a *access) dropTenant(c *cobra.Command, tenant string) error {
	nodes, err := ask(c, a, func(ctx context.Context, n *client.Client) ([]string, error) { return n.Drop(ctx, tenant) })
	if err != nil {
		return err
	}
	if a.output == "json" {
		return printMessage(c.OutOrStdout(), &tenantryv1.DropTenantResponse{Nodes: nodes})
	}
	return printDone(c.OutOrStdout(), "dropped", tenant, nodes)
}

func printDone(w io.Writer, done, tenant string, nodes []string) error {
	text := tenant + " is not active: nothing is kept of it"
	if len(nodes) > 0 {
		text = done + " on " + strings.Join(nodes, ", ")
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// dropAll drops every tenant that is active, one after the other: their next
// requests all read the origin.
func (a *access) dropAll(c *cobra.Command) error {
	node, err := a.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), a.timeout)
	defer cancel()
	all, err := listTenants(ctx, node, "", "")
	if err != nil {
		return a.failed(err)
	}
	names := namesOf(all.GetTenants())
	p := newProgress(c.ErrOrStderr())
	dropped, err := a.dropEach(c.Context(), node, names, p)
	p.end()
	if err != nil {
		return a.failed(fmt.Errorf("after %d of %d tenants: %w", dropped, len(names), err))
	}
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), map[string]int{"tenants": dropped})
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "dropped %d tenants\n", dropped)
	return err
}

// namesOf returns the names of tenants, each once whatever nodes have it.
func namesOf(tenants []*tenantryv1.TenantSummary) []string {
	names := make([]string, len(tenants))
	for i, t := range tenants {
		names[i] = t.GetTenant()
	}
	return slices.Compact(names)
}

// dropEach drops tenants, and returns how many of them were still active.
func (a *access) dropEach(ctx context.Context, node *client.Client, tenants []string, p *progress) (dropped int, err error) {
	one := func(tenant string) ([]string, error) {
		ctx, cancel := context.WithTimeout(ctx, a.timeout)
		defer cancel()
		return node.Drop(ctx, tenant)
	}
	done := 0
	for _, tenant := range tenants {
		nodes, err := one(tenant)
		if err != nil {
			return dropped, err
		}
		if len(nodes) > 0 {
			dropped++
		}
		if done++; done%progressEvery == 0 {
			p.say(fmt.Sprintf("dropped %d of %d tenants", done, len(tenants)))
		}
	}
	return dropped, nil
}

// progressEvery is how many steps there are to one that is shown.
const progressEvery = 50
