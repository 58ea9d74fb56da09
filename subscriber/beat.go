package subscriber

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/redis/go-redis/v9"
)

// token returns an unguessable text of 26 characters.
func token() string { return rand.Text() }

// beat publishes a beat each heartbeat, through a connection of its own: a
// PING proves that the connection works, a beat that what is published comes
// out of it. Slow publishing delays the next beat and nothing else.
func (s *Subscriber) beat(ctx context.Context) {
	tick := time.NewTicker(s.cfg.Heartbeat)
	defer tick.Stop()
	for !s.beatsOff.Load() {
		select {
		case <-tick.C:
			s.publishBeat(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// publishBeat publishes one beat. Every life may take it as a proof; those
// whose beat channel was subscribed before must get it, once the server has
// acknowledged it. After an error nobody knows.
func (s *Subscriber) publishBeat(ctx context.Context) {
	id, lives := token(), s.lives()
	if len(lives) == 0 {
		return // nobody to prove anything to
	}
	p := probe{sent: time.Now()}
	ready := lives[:0:0]
	for _, l := range lives {
		l.beats.add(id, p)
		if l.beatState.Load() == beatSubscribed {
			ready = append(ready, l)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Heartbeat)
	defer cancel()
	switch err := s.publish(ctx, s.beatChannel, id); {
	case redis.IsPermissionError(err):
		s.stopBeats(err)
	case err != nil:
		s.beating(false, err)
	default:
		s.beating(true, nil)
		for _, l := range ready {
			l.beats.expect(id)
		}
	}
}

// beating notes whether the last beat was acknowledged. While none is, PINGs alone
// prove: they do not show a server that passes nothing on.
func (s *Subscriber) beating(acknowledged bool, err error) {
	switch {
	case s.silent == !acknowledged:
		return
	case acknowledged:
		s.metrics.beats.Set(1)
		s.log.Info("beats are acknowledged again")
	default:
		s.metrics.beats.Set(0)
		s.log.Warn("beats are not acknowledged", "error", err)
	}
	s.silent = !acknowledged
}

// lives returns the lives there are now.
func (s *Subscriber) lives() []*life {
	var all []*life
	for _, c := range s.conns {
		if l := c.current.Load(); l != nil {
			all = append(all, l)
		}
	}
	return all
}

// stopBeats does without beats from now on: the server's rules forbid them.
func (s *Subscriber) stopBeats(err error) {
	if !s.beatsOff.Swap(true) {
		s.metrics.beats.Set(0)
		s.log.Warn("beats are off: the bus user may not use their channel", "channel", s.beatChannel, "error", err)
	}
}
