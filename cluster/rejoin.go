package cluster

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// How soon and how widely attempts are made.
const (
	// firstRetry is the pause after the first failure; it doubles.
	firstRetry = 500 * time.Millisecond
	// alonePause is the longest pause of a node that never joined.
	alonePause = 5 * time.Second
	// lately is how long after a death the longest pause is a third.
	lately = 10 * time.Minute
	// doubtRounds is the number of quick rounds after two addresses went by one
	// name: enough until the elder of the two is given up if it is dead. They
	// are given once in doubtEvery.
	doubtRounds = 12
	doubtEvery  = 5 * time.Minute
	// followUps are the quick rounds after two parts have met: gossip forgets
	// somebody once in a while, and would be corrected after pushPull.
	followUps = 2
	// deserted is the number of rounds in which nobody was reached after which
	// whoever had this node's name has it no more.
	deserted = 3
	// settledAfter is when a node that met no other of its name counts as the
	// elder of any it meets.
	settledAfter = 10 * time.Second
	// lostAtOnce and mostAtOnce bound a round: lost members that are tried in
	// one, and attempts under way.
	lostAtOnce = 8
	mostAtOnce = 16
)

// rejoin is what a node knows of whom to contact, and when. Delegates write to
// it with memberlist's lock held.
type rejoin struct {
	// now is poked when the next round should not wait.
	now chan struct{}

	mu sync.Mutex
	// pause is the wait after the coming round.
	pause time.Duration
	// quick rounds are left; doubted is when they were given.
	quick   int
	doubted time.Time
	// died is when a member was last lost.
	died time.Time
	// settled says that the name is this node's; taken, that another had it
	// before, at holder.
	settled, taken bool
	holder         netip.AddrPort
	// asked are the members to contact in the next rounds whatever is known,
	// and the number of rounds.
	asked map[netip.AddrPort]int
	// joined says that somebody was ever reached.
	joined bool
	// apart says that nobody was reached since the start, or the last loss.
	apart bool
	// contests counts the times another node with this name was seen;
	// uncontested, the rounds since.
	contests, uncontested int
}

func newRejoin() *rejoin {
	return &rejoin{now: make(chan struct{}, 1), pause: firstRetry, apart: true, asked: make(map[netip.AddrPort]int)}
}

// lost asks for quick rounds: a member died, or this node is cut off.
func (r *rejoin) lost() {
	r.mu.Lock()
	r.died, r.pause, r.apart = time.Now(), firstRetry, true
	r.mu.Unlock()
	poke(r.now)
}

// doubt asks for quick rounds that contact live members too.
func (r *rejoin) doubt() {
	r.mu.Lock()
	fresh := time.Since(r.doubted) > doubtEvery
	if fresh {
		r.doubted, r.quick = time.Now(), doubtRounds
	}
	r.mu.Unlock()
	if fresh {
		poke(r.now)
	}
}

// contested takes over that another node goes by this node's name.
func (r *rejoin) contested(holder netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.contests++
	if !r.settled {
		r.taken, r.holder = true, holder
	}
}

// ask wants a member to be contacted soon, twice: it answers with what it knew
// before it heard this node's view, which may be the suspicion to object to.
func (r *rejoin) ask(at netip.AddrPort) {
	r.mu.Lock()
	if len(r.asked) < mostAtOnce {
		r.asked[at] = 2
	}
	r.mu.Unlock()
	poke(r.now)
}

// begun returns whether to contact live members too, whom to contact besides,
// such as another node with this node's name, and what ended wants.
func (r *rejoin) begun() (wide bool, besides []netip.AddrPort, contests int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken {
		besides = append(besides, r.holder)
	}
	for at, rounds := range r.asked {
		besides = append(besides, at)
		if r.asked[at] = rounds - 1; rounds == 1 {
			delete(r.asked, at)
		}
	}
	wide = r.quick > 0 || r.taken
	r.quick = max(0, r.quick-1)
	return wide, besides, r.contests
}

// ended returns the wait until the next round. A round that reached somebody
// who knows of no other node with this name gives this node the name, and so
// do some in which nobody was reached at all.
func (r *rejoin) ended(reached, failed, contests int, longest time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.uncontested++; contests != r.contests {
		r.uncontested = 0
	}
	if r.uncontested > 0 && (reached > 0 || r.uncontested >= deserted) {
		r.settled, r.taken = true, false
	}
	if reached > 0 && r.apart {
		r.apart, r.quick = false, max(r.quick, followUps)
	}
	if time.Since(r.died) < lately {
		longest /= 3
	}
	if r.joined = r.joined || reached > 0; !r.joined {
		longest = min(longest, alonePause)
	}
	pause := r.pause
	switch {
	case len(r.asked) > 0:
		return gossipInterval
	case r.quick > 0:
		pause = 2 * firstRetry
	case reached > 0 || failed == 0:
		pause = longest
	default:
		r.pause = min(2*r.pause, longest)
	}
	pause = min(pause, longest)
	return pause/2 + rand.N(pause/2+1)
}

func (r *rejoin) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = r.settled || !r.taken
}

// NameTaken returns the address of another live node that goes by this node's
// name and had it before. The others go on with that one and do not know this
// node: it should not become ready, and it is not said to leave when it ends.
// After a restart under another address it is the node's former life, for the
// seconds until that is given up.
func (c *Cluster) NameTaken() (by netip.AddrPort, taken bool) {
	c.rejoin.mu.Lock()
	defer c.rejoin.mu.Unlock()
	return c.rejoin.holder, c.rejoin.taken
}
