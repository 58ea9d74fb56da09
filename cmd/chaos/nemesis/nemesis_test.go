package nemesis

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The page on faults names all of them.
func TestFaultsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	_, ours, _ := strings.Cut(string(page), "## The trial's")
	for _, name := range Names(2) {
		if !strings.Contains(ours, "`"+name+"`") {
			t.Errorf("docs/faults.md does not name %s", name)
		}
	}
}

func TestCheck(t *testing.T) {
	if err := Check([]string{"node-kill", "bus-cut"}, 1); err != nil {
		t.Error(err)
	}
	for _, ofSeveral := range Names(2)[len(Names(1)):] {
		if err := Check([]string{ofSeveral}, 1); err == nil {
			t.Errorf("%s is a fault of a node that is alone", ofSeveral)
		}
	}
	names := slices.Sorted(slices.Values(Names(2)))
	if len(slices.Compact(names)) != len(Names(2)) {
		t.Errorf("a name is given twice: %v", names)
	}
}
