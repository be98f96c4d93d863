package phase

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// server is where simulated joules come from: more than the fit has parts for.
type server struct {
	contextJ float64 // of a token of context for each output token
	capped   float64 // by how much work costs more at full power than at half
	scatter  float64 // relative, of each load
}

const (
	serverIdleW, serverStepJ       = 124, 1.86
	serverPrefillJ, serverDecodeJ  = 0.0156, 0.018
	serverStepS, serverBatchTokens = 0.0048, 2048
)

// truth are the joules of a prompt token and, at a context, of an output token,
// averaged over all tokens that the server computed.
type truth struct{ prefill, decode, context float64 }

// serve makes the points of a design: every concurrency with every pair of prompt
// and output length, and an idle stretch for each.
func (s server) serve(concurrencies []int, lengths [][2]float64, r *rand.Rand) (points []Point, is truth) {
	var prefilled, decoded float64
	for _, c := range concurrencies {
		for _, l := range lengths {
			in, out := l[0], l[1]
			requests := 12 * float64(c)
			p := Point{
				Shape: fmt.Sprint(c, in, out), Concurrency: c, Steps: 12*out + requests*in/serverBatchTokens,
				PrefillTokens: requests * in, DecodeTokens: requests * (out - 1),
			}
			p.ContextTokens = p.DecodeTokens * (in + out/2)
			p.TimeS = p.Steps*serverStepS + p.PrefillTokens*2.2e-5 + p.DecodeTokens*1.2e-5
			work := serverStepJ*p.Steps + serverPrefillJ*p.PrefillTokens + serverDecodeJ*p.DecodeTokens
			dearer := 1 + s.capped*(work/p.TimeS/600-0.75)
			p.EnergyJ = (serverIdleW*p.TimeS + dearer*work + s.contextJ*p.ContextTokens) * (1 + s.scatter*r.NormFloat64())
			points = append(points, p, Point{TimeS: 2, EnergyJ: 2 * serverIdleW * (1 + 0.005*r.NormFloat64())})
			is.prefill += dearer * serverPrefillJ * p.PrefillTokens
			is.decode += dearer*serverDecodeJ*p.DecodeTokens + s.contextJ*p.ContextTokens
			is.context += p.ContextTokens
			prefilled, decoded = prefilled+p.PrefillTokens, decoded+p.DecodeTokens
		}
	}
	is.prefill, is.decode, is.context = is.prefill/prefilled, is.decode/decoded, is.context/decoded
	return points, is
}

// Whatever design and lack of fit: a split is refused, or its bounds hold the truth;
// and a design that is meant for it is mostly not refused.
func TestRegressBoundsHold(t *testing.T) {
	const studies = 150
	r := rand.New(rand.NewPCG(5, 6))
	var few, fewHeld int
	for _, d := range []struct {
		name          string
		concurrencies []int
		lengths       [][2]float64
	}{
		{"12 shapes", []int{1, 8, 32, 128}, [][2]float64{{512, 128}, {32, 256}, {1024, 16}}},
		{"long contexts", []int{1, 8, 32, 128}, [][2]float64{{512, 64}, {32, 256}, {1024, 256}}},
		{"9 shapes", []int{8, 32, 128}, [][2]float64{{512, 128}, {32, 256}, {1024, 16}}},
		{"24 shapes", []int{1, 4, 16, 64}, [][2]float64{{64, 16}, {64, 64}, {64, 256}, {1024, 16}, {1024, 64}, {1024, 256}}},
		{"two concurrencies", []int{32, 128}, [][2]float64{{1024, 16}, {512, 128}, {32, 256}, {256, 64}}},
		{"small batches only", []int{1, 2, 4, 8}, [][2]float64{{512, 128}, {32, 256}, {1024, 16}}},
	} {
		for _, of := range []struct {
			name   string
			lack   func() server
			mostly bool // given for a design that is meant for it
		}{
			{"scatter of 1 %", func() server { return server{scatter: 0.01} }, true},
			{"scatter of 3 %", func() server { return server{scatter: 0.03} }, false},
			{"context", func() server { return server{contextJ: 4e-5 * r.Float64(), scatter: 0.003} }, true},
			{"power cap", func() server { return server{capped: 0.1 * r.Float64(), scatter: 0.003} }, true},
			{"context and cap", func() server { return server{contextJ: 4e-5 * r.Float64(), capped: 0.1 * r.Float64(), scatter: 0.003} }, true},
			{"all at a time", func() server { return server{contextJ: 4e-5 * r.Float64(), capped: 0.1 * r.Float64(), scatter: 0.01} }, true},
		} {
			given, heldPrefill, heldDecode := 0, 0, 0
			for range studies {
				points, is := of.lack().serve(d.concurrencies, d.lengths, r)
				f, err := Regress(points)
				if err != nil {
					continue
				}
				decode, rel := f.known([parts]float64{partDecode: 1, partContext: is.context})
				if tooWide("", rel) != nil {
					continue
				}
				given++
				if math.Abs(f.PrefillTokenJ/is.prefill-1) <= f.PrefillRel {
					heldPrefill++
				}
				if math.Abs(decode/is.decode-1) <= rel {
					heldDecode++
				}
			}
			t.Logf("%s, %s: %d of %d given, the bounds of prefill hold in %d, of decode in %d", d.name, of.name, given, studies, heldPrefill, heldDecode)
			if given < 50 {
				few, fewHeld = few+2*given, fewHeld+heldPrefill+heldDecode
			} else if least := 0.95 * float64(given); float64(heldPrefill) < least || float64(heldDecode) < least {
				t.Errorf("%s, %s: of %d splits the bounds of prefill hold in %d, of decode in %d", d.name, of.name, given, heldPrefill, heldDecode)
			}
			if d.name == "12 shapes" && of.mostly && given < studies*9/10 {
				t.Errorf("%s, %s: %d of %d are given", d.name, of.name, given, studies)
			}
		}
	}
	if float64(fewHeld) < 0.95*float64(few) {
		t.Errorf("of %d bounds of designs that are mostly refused %d hold", few, fewHeld)
	}
}

// Two pairs of lengths cannot tell what decoding pays for longer prompts from what
// prefill costs, however many loads there are of them.
func TestTwoPairsOfLengthsAreRefused(t *testing.T) {
	points, _ := server{}.serve([]int{1, 4, 8, 32, 128}, [][2]float64{{512, 128}, {32, 256}}, rand.New(rand.NewPCG(1, 2)))
	f, err := Regress(points)
	if err == nil {
		t.Fatalf("%+v", f)
	}
	t.Log(err)
}
