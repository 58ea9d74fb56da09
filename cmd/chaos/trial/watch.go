package trial

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// watch looks at a node while it recovers, and counts what its origin is asked.
type watch struct {
	*run
	fault      string
	begin, end history.Time // of the fault
	entries    int          // held before
	glances    []glance
	tally      tally
	over       bool
}

// glance is what is seen at one time: doubts so far, and tenants doubtful then.
type glance struct {
	at               history.Time
	doubts, doubtful float64
}

const (
	// quickly is the time between two glances until the fault is noticed, slowly
	// that from then on: a node of many tenants has to count them for each.
	quickly = 10 * time.Millisecond
	slowly  = 100 * time.Millisecond
)

// one strikes, and looks until the node has recovered.
func (w *watch) one(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var counting sync.WaitGroup
	counting.Go(func() { w.tally.run(ctx, w.log.Clock, w.origin) })
	defer counting.Wait()
	defer stop()
	if err := w.glance(ctx); err != nil || !world.Pause(ctx, w.Quiet) {
		return err
	}
	if err := w.glance(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	ended := make(chan history.Time, 1)
	w.begin = w.log.Now()
	g.Go(func() error { return w.strike(ctx, ended) })
	g.Go(func() error { return w.look(ctx, ended) })
	return g.Wait()
}

func (w *watch) strike(ctx context.Context, ended chan<- history.Time) error {
	for _, s := range strikes() {
		if s.name != w.fault {
			continue
		}
		end := w.log.Begin(history.Fault{Type: s.name, Loses: true})
		err := s.do(ctx, w.world)
		end()
		ended <- w.log.Now()
		return err
	}
	return CheckStrikes([]string{w.fault})
}

func (w *watch) look(ctx context.Context, ended <-chan history.Time) error {
	for interval := quickly; world.Pause(ctx, interval); {
		if err := w.glance(ctx); err != nil {
			return err
		}
		select {
		case w.end = <-ended:
		default:
		}
		if w.doubted() != history.Never {
			interval = slowly
		}
		if w.over = w.recovered(); w.over {
			return nil
		}
	}
	return nil
}

func (w *watch) glance(ctx context.Context) error {
	m, err := w.world.Metrics(ctx)
	if err != nil {
		return unlessOver(ctx, err)
	}
	if w.begin == 0 {
		w.entries = int(m["tenantry_entries"])
	}
	w.glances = append(w.glances, glance{w.log.Now(), m["tenantry_doubts_total"], m["tenantry_doubtful_tenants"]})
	return nil
}

// recovered says that the fault was noticed and is over, and that all has been
// well for a while.
func (w *watch) recovered() bool {
	now := w.glances[len(w.glances)-1]
	return w.end != 0 && w.doubted() != history.Never && now.doubtful == 0 && now.at-w.settled() >= w.Quiet
}

// doubted returns when the first sign was noticed, or [history.Never].
func (w *watch) doubted() history.Time {
	for _, g := range w.glances {
		if g.at > w.begin && (g.doubts > w.glances[0].doubts || g.doubtful > 0) {
			return g.at
		}
	}
	return history.Never
}

// settled returns from when on nothing was doubtful: not before the fault's end.
func (w *watch) settled() history.Time {
	settled := w.end
	for i, g := range w.glances[1:] {
		if w.glances[i].doubtful > 0 {
			settled = max(settled, g.at)
		}
	}
	return settled
}
