package world

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a program that can be started again with the same arguments.
type process struct {
	path, dir, log string
	args, env      []string
	cmd            *exec.Cmd
	pid            atomic.Int64 // 0: it does not run
}

// start starts it. What it writes is appended to its log.
func (p *process) start() error {
	out, err := os.OpenFile(filepath.Join(p.dir, p.log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	// Not bound to a context: it is ended by kill, on every way out.
	p.cmd = exec.CommandContext(context.Background(), p.path, p.args...) //nolint:gosec // the caller's own flags
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = p.dir, out, out
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.pid.Store(int64(p.cmd.Process.Pid))
	return nil
}

// kill kills it and waits for its end.
func (p *process) kill() {
	p.pid.Store(0)
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
	p.cmd = nil
}

// end asks it to end, and waits until it has, by itself and in order.
func (p *process) end(ctx context.Context) error {
	if p.cmd == nil {
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	p.signal(syscall.SIGTERM)
	var late error
	select {
	case err := <-ended:
		ended <- err
	case <-ctx.Done():
		late = ctx.Err()
		_ = p.cmd.Process.Kill()
	}
	err := errors.Join(late, <-ended)
	p.pid.Store(0)
	p.cmd = nil
	return err
}

// tailLines is how many lines of a log are told.
const tailLines = 20

// tail returns the end of its log.
func (p *process) tail() string {
	all, err := os.ReadFile(filepath.Join(p.dir, p.log))
	if err != nil {
		return err.Error()
	}
	lines := strings.SplitAfter(string(all), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "")
}

func (p *process) signal(s syscall.Signal) {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(s)
	}
}

// freePort returns a port of the loopback that nobody listens on, by TCP or UDP,
// below those that connections get: one that is dialed while its server is down could
// otherwise be connected with itself, and the server not listen again.
func freePort() (port string, err error) {
	for range 100 {
		port = strconv.Itoa(10_000 + rand.IntN(20_000))
		if err = isFree(net.JoinHostPort("127.0.0.1", port)); err == nil {
			return port, nil
		}
	}
	return "", err
}

func isFree(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	c, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

var errSilent = errors.New("does not listen")

// listens reports whether an address is listened on.
func listens(ctx context.Context, addr string) bool {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", addr)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// await waits until an address is listened on.
func await(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if listens(ctx, addr) {
			return nil
		}
		if !Pause(ctx, pollInterval) {
			return errSilent
		}
	}
}

const (
	// startTimeout is for a busy machine.
	startTimeout = 20 * time.Second
	pollInterval = 5 * time.Millisecond
)

// Pause waits, or returns false if ctx ends first.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
