package redistest

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// startTimeout bounds how long a server may take to answer, on a busy machine.
const startTimeout = 20 * time.Second

// Server is a redis-server process.
type Server struct {
	t      testing.TB
	port   string
	args   []string
	client *redis.Client
	cmd    *exec.Cmd
	output *bytes.Buffer
}

// Start starts a server without persistence, with further command-line
// arguments if any, waits until it answers, and stops it when the test ends.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := New(t, args...)
	s.Restart()
	return s
}

// New returns a server that is not running yet; Restart starts it.
func New(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, port: FreePort(t), args: args}
	s.client = redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() {
		_ = s.client.Close()
		s.Stop()
	})
	return s
}

// FreePort returns a port of the loopback that nobody listens on.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// Addr returns the server's host:port. It stays the same over restarts.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", s.port) }

// Client returns a client of the server, closed when the test ends.
func (s *Server) Client() *redis.Client { return s.client }

// Restart stops the server, if it runs, and starts it anew, without its data.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatal("redis-server is missing: install the system's package redis-server")
	}
	args := append([]string{"--bind", "127.0.0.1", "--port", s.port, "--save", "", "--appendonly", "no"}, s.args...)
	s.cmd, s.output = exec.Command(path, args...), new(bytes.Buffer)
	s.cmd.Dir = s.t.TempDir()
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	s.cmd.SysProcAttr = noOrphan()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.await()
}

func (s *Server) await() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for !s.answers(ctx) {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			s.Stop()
			s.t.Fatalf("redis-server on %s does not answer:\n%s", s.Addr(), s.output)
		}
	}
}

// answers dials by itself first: go-redis writes each failure to stderr.
func (s *Server) answers(ctx context.Context) bool {
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return false
	}
	_ = conn.Close()
	return s.client.Ping(ctx).Err() == nil
}

// Stop kills the server, if it runs: its clients see their connections end.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Freeze stops the process's execution: connections stay open and silent.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}
