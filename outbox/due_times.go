package outbox

import (
	"container/heap"
	"time"
)

// dueTimes is a heap of the times at which something of a lane is due.
type dueTimes []int64

func (h dueTimes) Len() int           { return len(h) }
func (h dueTimes) Less(i, j int) bool { return h[i] < h[j] }
func (h dueTimes) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *dueTimes) Push(x any) { *h = append(*h, x.(int64)) }

// Pop implements heap.Interface.
func (h *dueTimes) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

func (h *dueTimes) push(t time.Time) { heap.Push(h, t.UnixMicro()) }

// first returns the earliest time; false when there is none.
func (h dueTimes) first() (time.Time, bool) {
	if len(h) == 0 {
		return time.Time{}, false
	}
	return time.UnixMicro(h[0]).UTC(), true
}

// dropUntil forgets the times up to t.
func (h *dueTimes) dropUntil(t time.Time) {
	for len(*h) > 0 && (*h)[0] <= t.UnixMicro() {
		heap.Pop(h)
	}
}
