package nvml

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/sdk"
)

// fakeGPU draws constant power and has a full ring and a counter like an H100's,
// with their call costs. Its time is that of the test's bubble.
type fakeGPU struct {
	uuid  string
	facts device.Facts
	watts uint64
	born  time.Time

	ringErr, counterErr, plainErr error
	fields                        map[field]uint64
	ringCost, counterCost, cost   time.Duration
	wall                          func() int64 // the driver's clock; nil = time.Now

	mu                              sync.Mutex
	lost                            bool
	ringCalls, counterCalls, lights int
	energyBase                      int64 // mJ added to the counter
	seen                            []ringSample
	lastTick                        time.Time
	noisy                           bool // power moves by some mW
	bend                            func([]ringSample) []ringSample
	bendEnergy                      func(call int, milliJ uint64) uint64
}

const fakePeriod = 20 * time.Millisecond

func newFake(uuid string) *fakeGPU {
	most := int64(700_000)
	return &fakeGPU{
		uuid: uuid, facts: device.Facts{UUID: uuid, Model: "NVIDIA H100 80GB HBM3", Architecture: "hopper", Driver: "580.159.04", MostLimitMilliW: &most},
		watts: 300, born: time.Now(), lastTick: time.Now().Add(-3 * time.Second), fields: map[field]uint64{},
		ringCost: 620 * time.Microsecond, counterCost: 6 * time.Millisecond, cost: 50 * time.Microsecond,
	}
}

// set changes the GPU while it is read.
func (f *fakeGPU) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeGPU) UUID() string        { return f.uuid }
func (f *fakeGPU) Facts() device.Facts { return f.facts }

func (f *fakeGPU) EnergyMilliJ() (uint64, error) {
	time.Sleep(f.counterCost)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counterErr != nil {
		return 0, f.counterErr
	}
	if f.lost {
		return 0, errLost
	}
	f.counterCalls++
	ticks := int64(time.Since(f.born) / (100 * time.Millisecond))
	value := uint64(f.energyBase + ticks*100*int64(f.watts))
	if f.bendEnergy != nil {
		value = f.bendEnergy(f.counterCalls, value)
	}
	return value, nil
}

// noise is a number below 1000 that looks random and is the same in each run.
func (f *fakeGPU) noise() uint64 {
	if !f.noisy {
		return 0
	}
	n := uint64(f.lastTick.UnixMilli())
	n = (n ^ n>>7) * 0x9e3779b97f4a7c15
	return n >> 54 % 1000
}

// tick brings the ring up to now; a sample appears 23 ms after its stamp.
func (f *fakeGPU) tick() {
	now := time.Now()
	wall := now.UnixNano()
	if f.wall != nil {
		wall = f.wall()
	}
	shift := wall - now.UnixNano()
	for ; now.Sub(f.lastTick) >= 23*time.Millisecond; f.lastTick = f.lastTick.Add(fakePeriod) {
		f.seen = append(f.seen, ringSample{WallUs: uint64((f.lastTick.UnixNano() + shift) / 1000), MilliW: f.watts*1000 + f.noise()})
	}
	if over := len(f.seen) - ringDepth; over > 0 {
		f.seen = f.seen[over:]
	}
}

func (f *fakeGPU) PowerRing(lastUs uint64) ([]ringSample, error) {
	time.Sleep(f.ringCost)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ringErr != nil {
		return nil, f.ringErr
	}
	if f.lost {
		return nil, errLost
	}
	f.ringCalls++
	f.tick()
	out := slices.DeleteFunc(slices.Clone(f.seen), func(s ringSample) bool { return s.WallUs <= lastUs })
	if f.bend != nil {
		out = f.bend(out)
	}
	return out, nil
}

func (f *fakeGPU) light() {
	time.Sleep(f.cost)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lights++
}

func (f *fakeGPU) Fields(ask ...field) []fieldValue {
	f.light()
	out := make([]fieldValue, len(ask))
	for i, a := range ask {
		if v, ok := f.fields[a]; ok {
			out[i].Value = v
		} else {
			out[i].Err = errAbsent
		}
	}
	return out
}

func (f *fakeGPU) PlainMilliW() (uint64, error) { return f.watts * 1000, f.plainErr }

func (f *fakeGPU) Reading() device.Reading {
	f.light()
	c := int64(60)
	return device.Reading{TemperatureC: &c}
}
func (f *fakeGPU) Snapshot() device.Snapshot { return device.Snapshot{Processes: []device.Process{}} }

// bubbleClocks are the two clocks of a test's simulated time.
func bubbleClocks() clocks {
	base := time.Now()
	return clocks{
		mono: func() int64 { return int64(time.Hour + time.Since(base)) },
		wall: func() int64 { return time.Now().UnixNano() },
	}
}

// sourceOf is a Source over fakes. Call it in a bubble.
func sourceOf(gpus ...*fakeGPU) *Source {
	s := New()
	s.clock = bubbleClocks()
	s.getenv = func(string) (string, bool) { return "", false }
	s.load = func() (driver, error) {
		var d driver
		for _, g := range gpus {
			d.cards = append(d.cards, card{UUID: g.uuid, Model: g.facts.Model, gpu: g})
		}
		return d, nil
	}
	return s
}

// collected keeps what a stream emitted, by domain.
type collected struct {
	mu      sync.Mutex
	batches map[string][]sdk.SampleBatch
}

func (c *collected) emit(b sdk.SampleBatch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.batches == nil {
		c.batches = map[string][]sdk.SampleBatch{}
	}
	c.batches[b.DomainID] = append(c.batches[b.DomainID], b)
	return nil
}

func (c *collected) of(domain string) (stamps, values []int64, dropped uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.batches[domain] {
		stamps, values = append(stamps, b.MonoNs...), append(values, b.Values...)
		dropped += b.Dropped
	}
	return stamps, values, dropped
}

func codes(s *Source) map[string]int {
	n := map[string]int{}
	for _, e := range s.Events(0) {
		n[e.Code]++
	}
	return n
}

// streamed opens s, streams for span of simulated time, doing during meanwhile,
// and returns what came. Call it in a bubble.
func streamed(t *testing.T, s *Source, span time.Duration, during func()) (*collected, []sdk.Domain, error) {
	t.Helper()
	domains, err := s.Open(t.Context(), sdk.OpenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var c collected
	ended := make(chan error, 1)
	go func() { ended <- s.Stream(t.Context(), c.emit) }()
	begin := time.Now()
	if during != nil {
		during()
	}
	time.Sleep(span - time.Since(begin))
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &c, domains, <-ended
}
