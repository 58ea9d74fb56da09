package netns_test

import (
	"errors"
	"os/exec"
	"testing"

	"github.com/tenantry/tenantry/cmd/chaos/netns"
)

// Namespaces reach each other until they are parted, and the host always.
func TestParting(t *testing.T) {
	n, err := netns.New(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	// A closed port refuses at once; what cannot be reached says nothing.
	reaches := func(from int, to string) bool {
		words := n.Command(from, "timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/"+to+"/9")
		err := exec.CommandContext(t.Context(), words[0], words[1:]...).Run()
		exit, ok := errors.AsType[*exec.ExitError](err)
		return !ok || exit.ExitCode() != 124
	}
	check := func(what string, across bool) {
		t.Helper()
		if !reaches(0, n.Inside(2)) || !reaches(1, n.Host(1)) || reaches(0, n.Inside(1)) != across {
			t.Errorf("%s: not as it should be", what)
		}
	}
	check("together", true)
	if err := n.Part(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("parted", false)
	if err := n.Heal(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("healed", true)
}
