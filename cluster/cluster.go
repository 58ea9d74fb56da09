package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// Cluster is one node's membership. Make it with [New], and run it once.
type Cluster struct {
	cfg       Config
	log       *slog.Logger
	keyring   *memberlist.Keyring
	metrics   *metrics
	roster    *roster
	refusals  *refusals
	gossipLog *gossipLog
	rejoin    *rejoin
	// update is poked when this node's own metadata has changed.
	update chan struct{}
	// formed is closed once enough members were seen, attempted once the seeds
	// have been tried.
	formed, attempted chan struct{}
	tried             func()
	ran               atomic.Bool

	mu sync.Mutex
	// transport is nil until Listen has bound it.
	transport *transport
}

// New returns a node that is not a member of anything yet. It does no I/O and
// starts nothing. Mistakes in cfg, all of them, and a registerer that has
// these metrics already are errors.
func New(cfg Config) (*Cluster, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	self := Member{Name: cfg.Name, Meta: cfg.meta(), Since: time.Now(), Self: true}
	self.ID = newID()
	c := &Cluster{
		cfg: cfg, log: cfg.Logger, roster: newRoster(&self), rejoin: newRejoin(),
		update: make(chan struct{}, 1), formed: make(chan struct{}), attempted: make(chan struct{}),
	}
	c.tried = sync.OnceFunc(func() { close(c.attempted) })
	if len(cfg.Keys) > 0 {
		if c.keyring, err = memberlist.NewKeyring(cfg.Keys, cfg.Keys[0]); err != nil {
			return nil, fmt.Errorf("cluster: %w", err)
		}
	}
	if c.metrics, err = newMetrics(cfg.Registerer, c.Members); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	c.refusals = newRefusals(c.metrics, c.log)
	c.gossipLog = newGossipLog(c.log, c.roster.suspect, c.refusals.add)
	return c, nil
}

// Run gossips until ctx ends, then leaves. It returns when all that it started
// has ended: nil, or why it could not begin. Seeds that cannot be reached are
// no error: they are tried for ever. Leaving takes about 1 s where others
// take the good-bye, 0.3 s less if SetState(Leaving) was called a while before,
// and up to 4 s where nobody answers.
func (c *Cluster) Run(ctx context.Context) error {
	if c.ran.Swap(true) {
		return ErrRunTwice
	}
	if err := c.Listen(); err != nil {
		return err
	}
	defer c.gossipLog.closed.Store(true)
	list, err := c.create()
	if err != nil {
		return err
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	var wg, attempts sync.WaitGroup
	for _, run := range []func(context.Context){
		c.report, c.form, func(ctx context.Context) { c.keepJoining(ctx, list.Join, &attempts) },
	} {
		wg.Go(func() { run(inner) })
	}
	c.keepUpdated(ctx, list)
	stop()
	wg.Wait()
	c.leave(list)
	err = list.Shutdown()
	attempts.Wait()
	c.outlast(list)
	return err
}

// outlast waits until no goroutine of memberlist can be left. Its Shutdown
// waits for none. The streams have been closed; what remains is a probe that
// nobody answers any more. It was given the interval times the health score,
// which only the end of a probe lowers.
func (c *Cluster) outlast(list *memberlist.Memberlist) {
	const slack = 50 * time.Millisecond
	if !c.alone() {
		<-time.After(time.Duration(list.GetHealthScore()+1)*probeInterval + slack)
	}
}

// alone says that this node has seen no other.
func (c *Cluster) alone() bool { return len(c.Members()) == 1 }

// create starts memberlist. Streams are let in once it knows of itself: it
// would answer a node that joins with nobody.
func (c *Cluster) create() (*memberlist.Memberlist, error) {
	p, d := profile(), delegate{c}
	p.Name, p.Label, p.Keyring = c.cfg.Name, c.cfg.Label, c.keyring
	p.Transport, p.BindPort = c.transport, int(c.transport.advertise.Port())
	p.Delegate, p.Events, p.Alive, p.Merge, p.Conflict, p.Ping = d, d, d, d, d, d
	p.Logger = slog.NewLogLogger(handler{c.gossipLog}, slog.LevelDebug)
	go c.transport.pump()
	list, err := memberlist.Create(p)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the gossip: %w", err), c.transport.Shutdown())
	}
	close(c.transport.ready)
	return list, nil
}

// keepUpdated tells the others of each change of this node's metadata until
// ctx ends. Changes during an update become one.
func (c *Cluster) keepUpdated(ctx context.Context, list *memberlist.Memberlist) {
	for {
		select {
		case <-c.update:
			c.send(list)
		case <-ctx.Done():
			return
		}
	}
}

// send waits until enough members were told, which takes one or two gossip
// intervals. In a partition it takes the time-out: the change travels with the
// next exchange.
func (c *Cluster) send(list *memberlist.Memberlist) {
	if err := list.UpdateNode(updateTimeout); err != nil {
		c.log.Debug("metadata not acknowledged in time", "err", err)
	}
}

// leave says good-bye, after telling that this node is leaving: it is how the
// others tell the one that left from the one that died. A node whose name is
// another's says nothing: the others would take it for the other.
func (c *Cluster) leave(list *memberlist.Memberlist) {
	if by, taken := c.NameTaken(); taken {
		c.log.Warn("ending without leaving: the name is another node's", "address", by)
		return
	}
	c.SetState(Leaving)
	select {
	case <-c.update: // that, or what keepUpdated has not come to
		c.send(list)
		if !c.alone() { // some hear it from others, and must not hear the good-bye before
			<-time.After(spread)
		}
	default:
	}
	if err := list.Leave(leaveTimeout); err != nil {
		c.log.Info("left without a good-bye: nobody took it in time", "err", err)
	}
}

// Members returns all that this node knows of, itself included, sorted by name.
// Those that are gone are kept for a day, 256 at most.
func (c *Cluster) Members() []Member { return c.roster.members() }

// Changes returns a channel of capacity 1 that is poked after Members has
// changed, and once to begin with. Each call makes another one, for one reader
// for good.
func (c *Cluster) Changes() <-chan struct{} { return c.roster.watch() }

// SetState tells the others what this node is up to. It does not wait.
func (c *Cluster) SetState(s State) { c.set(func(m *Meta) { m.State = s }) }

// SetBusLive tells the others whether this node's bus is live. It does not wait.
func (c *Cluster) SetBusLive(live bool) { c.set(func(m *Meta) { m.BusLive = live }) }

// SetEpoch tells the others the epoch of this node's ring. It does not wait.
func (c *Cluster) SetEpoch(epoch uint64) { c.set(func(m *Meta) { m.Epoch = epoch }) }

func (c *Cluster) set(f func(*Meta)) {
	if c.roster.changeSelf(func(m *Member) { f(&m.Meta) }) {
		poke(c.update)
	}
}
