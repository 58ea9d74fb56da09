package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Network is namespaces and what connects them.
type Network struct {
	id    string // of this process: names of interfaces have at most 15 bytes
	count int
	undo  [][]string // of what was made, the last first
}

// commandTimeout bounds each command.
const commandTimeout = 10 * time.Second

// New makes so many namespaces, at most 200, every other one in the second half.
func New(ctx context.Context, count int) (*Network, error) {
	n := &Network{id: fmt.Sprintf("tn%d", os.Getpid()%100_000), count: count}
	err := n.make(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("network namespaces: %w", err), n.Close())
	}
	return n, nil
}

func (n *Network) make(ctx context.Context) error {
	for half := range 2 {
		if err := n.device(ctx, n.bridge(half), "type", "bridge"); err != nil {
			return err
		}
	}
	if err := n.device(ctx, n.trunk(0), "type", "veth", "peer", "name", n.trunk(1)); err != nil {
		return err
	}
	for half := range 2 {
		if err := n.join(ctx, n.trunk(half), half); err != nil {
			return err
		}
	}
	for i := range n.count {
		if err := n.namespace(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (n *Network) bridge(half int) string { return fmt.Sprintf("%sb%d", n.id, half) }
func (n *Network) trunk(half int) string  { return fmt.Sprintf("%st%d", n.id, half) }

// Half returns the half that a namespace is in: 0 or 1.
func (n *Network) Half(i int) int { return i % 2 }

// Name returns a namespace's name.
func (n *Network) Name(i int) string { return fmt.Sprintf("%s-%d", n.id, i) }

// Host returns the host's address on the line to a namespace, Outside the
// namespace's own there, Inside that by which the others reach it.
func (n *Network) Host(i int) string { return fmt.Sprintf("10.214.%d.1", i+1) }

// Outside is the address by which the host reaches a namespace.
func (n *Network) Outside(i int) string { return fmt.Sprintf("10.214.%d.2", i+1) }

// Inside is the address by which the other namespaces reach it.
func (n *Network) Inside(i int) string { return fmt.Sprintf("10.213.0.%d", i+1) }

// Command returns the words that run a program in a namespace.
func (n *Network) Command(i int, program string, args ...string) []string {
	return append([]string{"ip", "netns", "exec", n.Name(i), program}, args...)
}

// namespace makes one, with its line to the host and its place on a bridge.
func (n *Network) namespace(ctx context.Context, i int) error {
	if err := n.made(ctx, []string{"netns", "add", n.Name(i)}, []string{"netns", "delete", n.Name(i)}); err != nil {
		return err
	}
	line, port := fmt.Sprintf("%sl%d", n.id, i), fmt.Sprintf("%sp%d", n.id, i)
	if err := n.device(ctx, line, "type", "veth", "peer", "name", "line", "netns", n.Name(i)); err != nil {
		return err
	}
	if err := n.device(ctx, port, "type", "veth", "peer", "name", "port", "netns", n.Name(i)); err != nil {
		return err
	}
	if err := n.join(ctx, port, n.Half(i)); err != nil {
		return err
	}
	inside := []string{"-n", n.Name(i)}
	return errors.Join(
		run(ctx, "address", "add", n.Host(i)+"/24", "dev", line),
		run(ctx, append(inside, "address", "add", n.Outside(i)+"/24", "dev", "line")...),
		run(ctx, append(inside, "address", "add", n.Inside(i)+"/24", "dev", "port")...),
		run(ctx, append(inside, "link", "set", "line", "up")...),
		run(ctx, append(inside, "link", "set", "port", "up")...),
		run(ctx, append(inside, "link", "set", "lo", "up")...),
	)
}

// device adds an interface and brings it up.
func (n *Network) device(ctx context.Context, name string, kind ...string) error {
	add := append([]string{"link", "add", name}, kind...)
	if err := n.made(ctx, add, []string{"link", "delete", name}); err != nil {
		return err
	}
	return run(ctx, "link", "set", name, "up")
}

// join puts an interface on the bridge of a half.
func (n *Network) join(ctx context.Context, name string, half int) error {
	if err := run(ctx, "link", "set", name, "master", n.bridge(half)); err != nil {
		return err
	}
	return run(ctx, "link", "set", name, "up")
}

// Part takes the halves apart.
func (n *Network) Part(ctx context.Context) error { return run(ctx, "link", "set", n.trunk(0), "down") }

// Heal puts them together again.
func (n *Network) Heal(ctx context.Context) error { return run(ctx, "link", "set", n.trunk(0), "up") }

// Close takes everything away that was made.
func (n *Network) Close() error {
	var errs []error
	for _, undo := range slices.Backward(n.undo) {
		errs = append(errs, run(context.Background(), undo...))
	}
	n.undo = nil
	return errors.Join(errs...)
}

// made runs a command, and remembers the one that takes back what it made.
func (n *Network) made(ctx context.Context, command, undo []string) error {
	if err := run(ctx, command...); err != nil {
		return err
	}
	n.undo = append(n.undo, undo)
	return nil
}

// run runs ip.
func run(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
