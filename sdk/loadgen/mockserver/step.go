package mockserver

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/llenergymeasure/llem/sdk"
)

// An event as vLLM writes it, 300 bytes; the text is the moment of writing.
const (
	eventFront = `data: {"id":"cmpl-8f2b0d1c4e5a4b7f9d3c2a1b0e9f8d7c","object":"text_completion","created":1761868800,"model":"meta-llama/Llama-3.1-8B-Instruct","choices":[{"index":0,"text":"`
	eventMid   = `","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":[`
	eventBack  = `]}],"usage":null}` + "\n\n"
	headSSE    = "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nserver: mock\r\ncontent-type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
	stampWidth = 16
)

// stepStream is one answer in the making.
type stepStream struct {
	conn   net.Conn
	want   int
	sent   int
	buffer []byte
	done   chan error
}

// stepper gives every stream a token at each deadline.
type stepper struct {
	period int64
	tokens *atomic.Int64
	quit   atomic.Bool

	mu      sync.Mutex
	joining []*stepStream
}

func newStepper(step time.Duration, tokens *atomic.Int64) *stepper {
	return &stepper{period: int64(step), tokens: tokens}
}

func (s *stepper) stop() { s.quit.Store(true) }

var errStopped = errors.New("the mock server is closed")

// answer streams tokens until all are written.
func (s *stepper) answer(stream *stepStream, tokens int) error {
	if _, err := stream.conn.Write([]byte(headSSE)); err != nil {
		return err
	}
	stream.want, stream.sent = tokens, 0
	s.mu.Lock()
	s.joining = append(s.joining, stream)
	s.mu.Unlock()
	return <-stream.done
}

// run keeps to absolute deadlines. One that was missed by more than a step is
// given up, so that a stalled machine is not followed by a burst.
func (s *stepper) run() {
	runtime.LockOSThread()
	var active []*stepStream
	next := sdk.MonoNow() + s.period
	for !s.quit.Load() {
		deadline := unix.NsecToTimespec(next)
		for errors.Is(unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &deadline, nil), unix.EINTR) {
		}
		next = max(next+s.period, sdk.MonoNow())
		s.mu.Lock()
		active = append(active, s.joining...)
		s.joining = s.joining[:0]
		s.mu.Unlock()
		kept := active[:0]
		for _, stream := range active {
			err := stream.step()
			s.tokens.Add(1)
			if err != nil || stream.sent >= stream.want {
				stream.done <- err
				continue
			}
			kept = append(kept, stream)
		}
		active = kept
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stream := range append(active, s.joining...) {
		stream.done <- errStopped
	}
}

// step writes one token, and the end behind the last one.
func (s *stepStream) step() error {
	s.buffer = appendToken(s.buffer[:0], s.sent, sdk.MonoNow())
	s.sent++
	if s.sent >= s.want {
		s.buffer = appendEnd(s.buffer, s.want)
	}
	_, err := s.conn.Write(s.buffer)
	return err
}

// appendToken renders a token's event as an HTTP chunk.
func appendToken(b []byte, id int, nowNs int64) []byte {
	digits := 1
	for n := id; n >= 10; n /= 10 {
		digits++
	}
	b = fmt.Appendf(b, "%x\r\n", len(eventFront)+stampWidth+len(eventMid)+digits+len(eventBack))
	b = append(b, eventFront...)
	for shift := 4 * (stampWidth - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[nowNs>>shift&15])
	}
	b = append(b, eventMid...)
	b = fmt.Appendf(b, "%d", id)
	b = append(b, eventBack...)
	return append(b, "\r\n"...)
}

func appendEnd(b []byte, tokens int) []byte {
	usage := fmt.Sprintf(`data: {"id":"cmpl-x","object":"text_completion","created":1761868800,"model":"m","choices":[],"usage":{"prompt_tokens":128,"total_tokens":%d,"completion_tokens":%d}}`+"\n\n", 128+tokens, tokens)
	b = fmt.Appendf(b, "%x\r\n%s\r\n", len(usage), usage)
	return append(b, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"...)
}
