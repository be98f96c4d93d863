package serve

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/transport"
)

func TestTheQueueIsBoundedAndKeepsOrder(t *testing.T) {
	q := newQueue(10, func(n int) int { return n })
	q.push(50) // alone, above the limit
	pushed := make(chan int, 8)
	go func() {
		for _, n := range []int{3, 4, 5} {
			q.push(n)
			pushed <- n
		}
		close(pushed)
	}()
	select {
	case n := <-pushed:
		t.Fatalf("%d was let in above the limit", n)
	case <-time.After(50 * time.Millisecond):
	}
	got := q.take()
	<-pushed
	<-pushed
	select {
	case n := <-pushed:
		t.Fatalf("%d was let in above the limit", n)
	case <-time.After(50 * time.Millisecond):
	}
	got = append(got, q.take()...)
	<-pushed
	got = append(got, q.take()...)
	if diff := cmp.Diff([]int{50, 3, 4, 5}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPumpSendsEverythingAndGoesOnWithoutAHost(t *testing.T) {
	for _, broken := range []bool{false, true} {
		q := newQueue(100, func(int) int { return 1 })
		done := make(chan error, 1)
		go func() {
			for n := range 1000 {
				q.push(n)
			}
			done <- errors.New("the author's")
		}()
		var got []int
		gone := errors.New("the host is gone")
		result, sent := pump(func(n int) error {
			if broken {
				return gone
			}
			got = append(got, n)
			return nil
		}, q, done, time.Hour, func() int { return -1 })
		if result == nil || result.Error() != "the author's" {
			t.Errorf("result is %v", result)
		}
		if broken {
			if !errors.Is(sent, gone) {
				t.Errorf("sent is %v", sent)
			}
			continue
		}
		for i, n := range got {
			if n != i {
				t.Fatalf("message %d is %d", i, n)
			}
		}
		if len(got) != 1000 || sent != nil {
			t.Errorf("%d messages, %v", len(got), sent)
		}
	}
}

func TestPumpBeats(t *testing.T) {
	q := newQueue(100, func(int) int { return 1 })
	done := make(chan error, 1)
	beats := 0
	_, err := pump(func(int) error {
		if beats++; beats == 3 {
			done <- nil
		}
		return nil
	}, q, done, time.Millisecond, func() int { return -1 })
	if err != nil || beats < 3 {
		t.Errorf("%d beats, %v", beats, err)
	}
}

func TestLargeEventsAreSplit(t *testing.T) {
	chunks := make([]sdk.Chunk, 20_000)
	for i := range chunks {
		chunks[i] = sdk.Chunk{MonoNs: int64(i) * 1_000_000_000, Tokens: 1}
	}
	var completions sdk.Completions
	for i := range 100 {
		completions = append(completions, sdk.Completion{Request: uint32(i), Chunks: chunks})
	}
	steps := make(sdk.Steps, 300_000)
	for i := range steps {
		steps[i] = sdk.Step{EndNs: 1 << 60, PrefillTokens: 1, DecodeTokens: 1}
	}
	next, stepCount, messages := uint32(0), 0, 0
	send := func(m *pb.RunResponse) error {
		messages++
		if size := proto.Size(m); size > transport.MostMessageBytes {
			t.Errorf("a message of %d bytes", size)
		}
		for _, c := range m.GetCompletions().GetItems() {
			if c.GetRequest() != next {
				t.Errorf("request %d came where %d was expected", c.GetRequest(), next)
			}
			next++
		}
		stepCount += len(m.GetSteps().GetEndNs())
		return nil
	}
	for _, e := range []sdk.RunEvent{completions, steps} {
		if err := sendSplit(send, e); err != nil {
			t.Fatal(err)
		}
	}
	if next != 100 || stepCount != len(steps) || messages < 10 {
		t.Errorf("%d completions and %d steps in %d messages", next, stepCount, messages)
	}
	huge := sdk.Completions{{Error: string(make([]byte, 2<<20))}}
	if err := sendSplit(send, huge); !errors.Is(err, sdk.Internal) {
		t.Errorf("a record above the limit gives %v", err)
	}
}
