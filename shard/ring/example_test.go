package ring_test

import (
	"fmt"

	"github.com/tenantry/tenantry/shard/ring"
)

func Example() {
	builder, err := ring.NewBuilder(ring.Settings{Partitions: 4099, VirtualNodes: 100, Load: 1.25, Replicas: 2})
	if err != nil {
		panic(err)
	}
	three := builder.Build([]ring.Member{{Name: "a"}, {Name: "b"}, {Name: "c"}})
	owners := three.Names(three.Lookup("acme"))
	fmt.Println("owned by", owners)

	// The primary is lost: the tenant lands on its second owner.
	two := builder.Build([]ring.Member{{Name: "a"}, {Name: "b"}})
	fmt.Println("owned by", two.Names(two.Lookup("acme")))
	gained, lost := ring.Changes(three, two, "b")
	fmt.Println("b gained", len(gained), "partitions and lost", len(lost))
	// Output:
	// owned by [c a]
	// owned by [a b]
	// b gained 1661 partitions and lost 0
}
