package shard

import (
	"cmp"
	"container/heap"
	"sync"
)

// task is a tenant to be loaded, or whose entries are to be read anew.
type task struct {
	tenant *tenant
	// entries says that its lists are good, and what they do not tell of is to be
	// read anew. Such tasks come after all lists.
	entries bool
	// from is a node that hands over what it has of a tenant that is live here.
	from *Peer
	// round counts how often all nodes were asked for a tenant that is new here.
	round int
	// reads is how much the tenant was read lately: the most read first.
	reads uint64
	seq   uint64
}

// queue is the tasks to do. A tenant is in it at most once for each thing to do, so the
// number of active tenants bounds it.
type queue struct {
	mu    sync.Mutex
	tasks tasks
	seq   uint64
	poke  chan struct{} // capacity 1: the queue is not empty
}

func (q *queue) init() { q.poke = make(chan struct{}, 1) }

func (q *queue) add(all ...task) {
	if len(all) == 0 {
		return
	}
	q.mu.Lock()
	for _, t := range all {
		q.seq++
		t.seq = q.seq
		heap.Push(&q.tasks, t)
	}
	q.mu.Unlock()
	poke(q.poke)
}

// take returns the first task, if there is one, and wakes another loader if there
// are more.
func (q *queue) take() (t task, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.tasks) == 0 {
		q.tasks = nil
		return task{}, false
	}
	t = heap.Pop(&q.tasks).(task)
	if len(q.tasks) > 0 {
		poke(q.poke)
	}
	return t, true
}

// tasks is a [heap.Interface]: lists before entries, tenants that are not live before
// what others have besides, the most read first, then in the order in which they came.
type tasks []task

func (t tasks) Len() int      { return len(t) }
func (t tasks) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *tasks) Push(x any)   { *t = append(*t, x.(task)) }

func (t tasks) Less(i, j int) bool {
	if t[i].entries != t[j].entries {
		return t[j].entries
	}
	if (t[i].from == nil) != (t[j].from == nil) {
		return t[i].from == nil
	}
	return cmp.Or(cmp.Compare(t[j].reads, t[i].reads), cmp.Compare(t[i].seq, t[j].seq)) < 0
}

func (t *tasks) Pop() any {
	last := len(*t) - 1
	popped := (*t)[last]
	(*t)[last] = task{}
	*t = (*t)[:last]
	return popped
}
