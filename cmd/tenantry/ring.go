package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc/client"
)

func ringCommand() *cobra.Command {
	var a access
	c := &cobra.Command{
		Use:   "ring [TENANT]",
		Short: "Show who owns how much, or who owns a tenant",
		Long: `Shows the ring of a node: its members, of how many partitions each is the primary
owner, and of how many it is an owner at all. With a tenant, its owners too.`,
		Example: "  tenantry ring\n  tenantry ring 123",
		Args:    cobra.MaximumNArgs(1),
	}
	a.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		tenant := strings.Join(args, "")
		res, err := ask(c, &a, func(ctx context.Context, n *client.Client) (*tenantryv1.GetRingResponse, error) {
			return n.Ring(ctx, tenant)
		})
		if err != nil {
			return err
		}
		if a.output == "json" {
			return printMessage(c.OutOrStdout(), res)
		}
		return printRing(c.OutOrStdout(), res, tenant)
	}
	return c
}

func printRing(w io.Writer, res *tenantryv1.GetRingResponse, tenant string) error {
	r := res.GetRing()
	if tenant != "" {
		fmt.Fprintf(w, "%s is in partition %d, owned by %s\n\n", tenant, res.GetPartition(), strings.Join(res.GetOwners(), ", "))
	}
	if r == nil {
		_, err := fmt.Fprintln(w, "the node has no ring yet: it answers for every tenant")
		return err
	}
	fmt.Fprintf(w, "epoch %016x, %d partitions, %s each, algorithm %s\n\n", r.GetEpoch(), r.GetPartitions(), counted(int(r.GetReplicas()), "owner"), r.GetAlgorithm())
	primary, owned := shares(r)
	page := newTable(w)
	page.row("MEMBER", "PRIMARY", "SHARE", "OWNED", "ZONE", "ADDRESS")
	for i, m := range r.GetMembers() {
		share := 100 * float64(primary[i]) / float64(max(r.GetPartitions(), 1))
		page.row(m.GetName(), strconv.Itoa(primary[i]), fmt.Sprintf("%.1f %%", share), strconv.Itoa(owned[i]), plain(m.GetZone()), plain(m.GetRpcAddress()))
	}
	return page.Flush()
}

// shares counts the partitions of each member.
func shares(r *tenantryv1.Ring) (primary, owned []int) {
	primary, owned = make([]int, len(r.GetMembers())), make([]int, len(r.GetMembers()))
	for i, owner := range r.GetOwners() {
		if int(owner) >= len(owned) {
			continue
		}
		if owned[owner]++; i%int(r.GetReplicas()) == 0 {
			primary[owner]++
		}
	}
	return primary, owned
}
