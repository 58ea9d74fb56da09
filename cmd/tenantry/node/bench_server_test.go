package node_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/cmd/tenantry/node"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// What measures a server starts it as a process of its own, this
// binary once more, so that the CPU time it uses is the server's alone. These
// variables of the environment tell it what to be.
const (
	roleVar   = "TENANTRY_BENCH_ROLE"   // node or bare
	redisVar  = "TENANTRY_BENCH_REDIS"  // host:port, for a node
	originVar = "TENANTRY_BENCH_ORIGIN" // URL, for a node
	nodeVar   = "TENANTRY_BENCH_NODE"   // URL of the node whose answers a bare handler returns
)

// collectAt is GOGC of the processes: that of tenantry serve.
const collectAt = "400"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "node":
		serveNode()
	case "bare":
		serveBare()
	default:
		m.Run()
	}
}

// serveNode is a node as tenantry serve runs it.
func serveNode() {
	cfg := config.Default()
	cfg.Node.Name = "bench-node"
	cfg.Listen.RPC, cfg.Listen.Admin, cfg.Listen.Gossip = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Redis.Addresses = []config.Address{config.Address(os.Getenv(redisVar))}
	cfg.Origin.URL = config.URL(os.Getenv(originVar))
	n, err := node.New(cfg, "test", slog.New(slog.DiscardHandler), nil)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		answerMeter(n.RPC(), n.Admin())
	}()
	if err := n.Run(ctx); err != nil {
		panic(err)
	}
}

// serveBare is a Connect handler over a sync.Map of messages.
func serveBare() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	_, h := tenantryv1connect.NewCacheServiceHandler(newBareHandler(os.Getenv(nodeVar)))
	go func() { _ = http.Serve(l, h) }()
	answerMeter(l.Addr().String())
}

// answerMeter prints the addresses, and then, for each line that comes, the CPU
// time the process has used so far in nanoseconds.
func answerMeter(addresses ...string) {
	fmt.Println(strings.Join(addresses, " "))
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		fmt.Println(u.Utime.Nano() + u.Stime.Nano())
	}
}

// bareHandler answers with messages that a node answered with before.
type bareHandler struct {
	tenantryv1connect.UnimplementedCacheServiceHandler
	gets, results sync.Map
}

func newBareHandler(url string) *bareHandler {
	c := tenantryv1connect.NewCacheServiceClient(new(http.Client), url)
	h := new(bareHandler)
	for i := range benchKeys {
		res, err := c.Get(context.Background(), benchGet(i))
		if err != nil {
			panic(err)
		}
		h.gets.Store(benchKey(i), res)
		f := proto.CloneOf(res.GetFreshness())
		f.Node, f.Epoch = "", 0 // once per batch
		h.results.Store(benchKey(i), &tenantryv1.BatchGetResult{Value: res.GetValue(), Freshness: f})
	}
	return h
}

func (h *bareHandler) Get(_ context.Context, req *tenantryv1.GetRequest) (*tenantryv1.GetResponse, error) {
	v, ok := h.gets.Load(req.GetKey())
	if !ok {
		return nil, connect.NewError(connect.CodeNotFound, nil)
	}
	return v.(*tenantryv1.GetResponse), nil
}

func (h *bareHandler) BatchGet(_ context.Context, req *tenantryv1.BatchGetRequest) (*tenantryv1.BatchGetResponse, error) {
	res := &tenantryv1.BatchGetResponse{Node: "bench-node", Results: make([]*tenantryv1.BatchGetResult, len(req.GetItems()))}
	for i, item := range req.GetItems() {
		v, _ := h.results.Load(item.GetKey())
		res.Results[i] = v.(*tenantryv1.BatchGetResult)
	}
	return res, nil
}

// process is a server that was started.
type process struct {
	url   string
	admin string // host:port; empty if it has none
	in    interface{ Write([]byte) (int, error) }
	out   *bufio.Scanner
}

func startProcess(b testing.TB, env ...string) *process {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "GOGC="+collectAt), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	p := &process{in: in, out: bufio.NewScanner(out)}
	rpc, admin, _ := strings.Cut(p.line(b), " ")
	p.url, p.admin = "http://"+rpc, admin
	return p
}

func (p *process) line(b testing.TB) string {
	b.Helper()
	if !p.out.Scan() {
		b.Fatalf("the server's process has ended: %v", p.out.Err())
	}
	return strings.TrimSpace(p.out.Text())
}

// cpu returns the CPU time that the process has used.
func (p *process) cpu(b testing.TB) time.Duration {
	b.Helper()
	if _, err := p.in.Write([]byte("\n")); err != nil {
		b.Fatal(err)
	}
	n, err := strconv.ParseInt(p.line(b), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(n)
}
