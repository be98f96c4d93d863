package serve

import (
	"sync"
	"time"
)

// queue holds messages between the author's code, which must not wait for the
// host, and the one goroutine that sends them. It is bounded in bytes: only an
// author who is that far ahead of the host is held up.
type queue[M any] struct {
	size  func(M) int
	limit int // bytes

	mu    sync.Mutex
	items []M
	bytes int
	room  *sync.Cond
	more  chan struct{} // holds one token while there may be something
}

func newQueue[M any](limit int, size func(M) int) *queue[M] {
	q := &queue[M]{size: size, limit: limit, more: make(chan struct{}, 1)}
	q.room = sync.NewCond(&q.mu)
	return q
}

// push appends m. A single message above the limit is let through alone.
func (q *queue[M]) push(m M) {
	size := q.size(m)
	q.mu.Lock()
	for q.bytes > 0 && q.bytes+size > q.limit {
		q.room.Wait()
	}
	q.items = append(q.items, m)
	q.bytes += size
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// take removes everything, oldest first.
func (q *queue[M]) take() []M {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items, q.bytes = nil, 0
	q.room.Broadcast()
	return items
}

// waiting is how many messages are held.
func (q *queue[M]) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// pump sends what is queued, and heartbeats, until done, and then what is
// left. If the host is gone it goes on without sending, so that the author's
// code never waits for nobody; sent is the first error of send.
func pump[M any](send func(M) error, q *queue[M], done <-chan error, period time.Duration, beat func() M) (result, sent error) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	deliver := func(messages ...M) {
		for _, m := range messages {
			if sent == nil {
				sent = send(m)
			}
		}
	}
	for {
		select {
		case <-q.more:
			deliver(q.take()...)
		case <-ticker.C:
			deliver(beat())
		case err := <-done:
			deliver(q.take()...)
			return err, sent
		}
	}
}
