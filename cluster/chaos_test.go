package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tenantry/tenantry/cluster/clustertest"
)

// Whatever happened, once the network is whole and everybody runs, all see all.
func TestAnythingHeals(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, net *clustertest.Network) {
				const size = 5
				rnd := rand.New(rand.NewPCG(seed, 1))
				cfg := Config{Join: addresses(1, 2)}
				nodes := form(t, net, size, cfg)
				next := size // address of the next restart elsewhere
				all := addresses(1, 100)
				restart := func(i int) {
					where := i + 1
					if rnd.IntN(2) == 0 {
						next++
						where = next
					}
					for _, n := range nodes { // the address is free
						if n.wire.Addr() == address(where) && n != nodes[i] {
							next++
							where = next
						}
					}
					cfg.Name = fmt.Sprintf("n%d", i+1)
					nodes[i] = start(t, net, where, cfg)
				}
				for range 12 {
					i := rnd.IntN(size)
					switch rnd.IntN(6) {
					case 0:
						nodes[i].crash()
						restart(i)
					case 1:
						nodes[i].stop()
						<-nodes[i].ended
						restart(i)
					case 2:
						cut := 1 + rnd.IntN(size-1)
						net.Partition(all[:cut], all[cut:])
					case 3:
						net.Cut(all[i:i+1], all)
					case 4:
						net.Stall(nodes[i].wire.Addr())
						time.Sleep(time.Duration(rnd.IntN(5000)) * time.Millisecond)
						net.Resume(nodes[i].wire.Addr())
					default:
						net.Heal()
					}
					nodes[i].SetEpoch(rnd.Uint64())
					time.Sleep(time.Duration(rnd.IntN(8000)) * time.Millisecond)
				}
				net.Heal()
				took := within(t, 31*time.Second, "all see all", func() bool { return agree(nodes, size) })
				within(t, 20*time.Second, "and what they say of themselves", func() bool { return sameMeta(nodes) })
				t.Logf("healed in %v", took)
			})
		})
	}
}

func sameMeta(nodes []*node) bool {
	for _, n := range nodes {
		for _, m := range nodes {
			if n.member(m.cfg.Name).Meta != m.roster.selfMeta() {
				return false
			}
		}
	}
	return true
}
