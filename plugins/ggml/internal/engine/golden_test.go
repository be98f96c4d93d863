package engine

import (
	"fmt"
	"math"
	"testing"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
)

// reference is a Llama forward pass in float64, written from the definition:
// RMS norms, rotary positions on adjacent pairs, grouped queries, SwiGLU.
type reference struct {
	shape  dummy.Shape
	weight map[string][]float32
	rotate bool // false is wrong, to see that the comparison notices
}

func newReference(s dummy.Shape, rotate bool) *reference {
	r := &reference{shape: s, weight: map[string][]float32{}, rotate: rotate}
	names := []string{"token_embd", "output_norm", "output"}
	for layer := range s.Layers {
		for _, part := range []string{"attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"} {
			names = append(names, fmt.Sprintf("blk.%d.%s", layer, part))
		}
	}
	for _, name := range names {
		r.weight[name] = dummy.Values(s, name+".weight", seed)
	}
	return r
}

// logits of the token after ids.
func (r *reference) logits(ids []uint32) []float64 {
	s := r.shape
	keys, vals := make([][][]float64, s.Layers), make([][][]float64, s.Layers)
	var x []float64
	for position, id := range ids {
		x = make([]float64, s.Width)
		for i := range x {
			x[i] = float64(r.weight["token_embd"][int(id)*s.Width+i])
		}
		for layer := range s.Layers {
			part := func(name string) []float32 { return r.weight[fmt.Sprintf("blk.%d.%s", layer, name)] }
			h := norm(x, part("attn_norm"))
			q, k, v := times(part("attn_q"), h), times(part("attn_k"), h), times(part("attn_v"), h)
			if r.rotate {
				rotate(q, s.HeadWidth(), position)
				rotate(k, s.HeadWidth(), position)
			}
			keys[layer], vals[layer] = append(keys[layer], k), append(vals[layer], v)
			add(x, times(part("attn_output"), attend(s, q, keys[layer], vals[layer])))
			h = norm(x, part("ffn_norm"))
			gate, up := times(part("ffn_gate"), h), times(part("ffn_up"), h)
			for i, g := range gate {
				up[i] *= g / (1 + math.Exp(-g))
			}
			add(x, times(part("ffn_down"), up))
		}
	}
	return times(r.weight["output"], norm(x, r.weight["output_norm"]))
}

func attend(s dummy.Shape, q []float64, keys, vals [][]float64) []float64 {
	width := s.HeadWidth()
	out := make([]float64, len(q))
	for head := range s.Heads {
		from, kv := head*width, head/(s.Heads/s.KVHeads)*width
		scores, total := make([]float64, len(keys)), 0.0
		for j, key := range keys {
			for i := range width {
				scores[j] += q[from+i] * key[kv+i]
			}
			scores[j] = math.Exp(scores[j] / math.Sqrt(float64(width)))
			total += scores[j]
		}
		for j, val := range vals {
			for i := range width {
				out[from+i] += scores[j] / total * val[kv+i]
			}
		}
	}
	return out
}

func times(matrix []float32, x []float64) []float64 {
	out := make([]float64, len(matrix)/len(x))
	for o := range out {
		for i, v := range x {
			out[o] += float64(matrix[o*len(x)+i]) * v
		}
	}
	return out
}

func norm(x []float64, gain []float32) []float64 {
	var square float64
	for _, v := range x {
		square += v * v
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v / math.Sqrt(square/float64(len(x))+1e-5) * float64(gain[i])
	}
	return out
}

func rotate(x []float64, width, position int) {
	for i := 0; i < len(x); i += 2 {
		sin, cos := math.Sincos(float64(position) * math.Pow(10000, -float64(i%width)/float64(width)))
		x[i], x[i+1] = x[i]*cos-x[i+1]*sin, x[i]*sin+x[i+1]*cos
	}
}

func add(x, y []float64) {
	for i, v := range y {
		x[i] += v
	}
}

// tolerance of a logit. Logits reach about 0.5. The kernels compute in
// float32, whose rounding was seen to add up to 1e-7; a wrong formula shows
// from 1e-4 on.
const tolerance = 1e-5

func farthest(want []float64, got []float32) (worst float64) {
	for i, v := range want {
		worst = max(worst, math.Abs(v-float64(got[i])))
	}
	return worst
}

func rowsOf(slot, from int, ids []uint32) []row {
	var rows []row
	for i, id := range ids {
		rows = append(rows, row{token: id, position: int32(from + i), slot: slot, wanted: i == len(ids)-1})
	}
	return rows
}

func TestLogitsAreThoseOfAnIndependentImplementation(t *testing.T) {
	shape, path := tinyShape(t), tinyFile(t, dummy.F32)
	ids, other := prompt(1, 24, shape.Vocab), prompt(2, 24, shape.Vocab)
	want := newReference(shape, true).logits(ids)
	wantOther := newReference(shape, true).logits(other)
	if difference := farthest(newReference(shape, false).logits(ids), float32s(want)); difference < 10*tolerance {
		t.Fatalf("a reference without positions differs by %g only: the comparison could not fail", difference)
	}
	for _, flash := range []bool{false, true} {
		t.Run(fmt.Sprintf("flash attention %v", flash), func(t *testing.T) {
			o := exactly(2, 64)
			o.FlashAttention = flash
			e := load(t, path, o)
			step := func(rows []row) []float32 {
				t.Helper()
				logits, err := e.forward(rows)
				if err != nil {
					t.Fatal(err)
				}
				return logits
			}
			if worst := farthest(want, step(rowsOf(0, 0, ids))); worst > tolerance {
				t.Errorf("prompt in one step: a logit is off by %g", worst)
			}
			if err := e.forget(0); err != nil {
				t.Fatal(err)
			}
			// Two sequences in turn: prompts of different length in one step,
			// then both token by token, in slots that swap their order.
			step(append(rowsOf(1, 0, ids[:9]), rowsOf(0, 0, other[:9])...))
			var logits []float32
			for i := 9; i < len(ids); i++ {
				logits = step(append(rowsOf(0, i, other[i:i+1]), rowsOf(1, i, ids[i:i+1])...))
			}
			if worst := farthest(wantOther, logits[:shape.Vocab]); worst > tolerance {
				t.Errorf("first sequence token by token: a logit is off by %g", worst)
			}
			if worst := farthest(want, logits[shape.Vocab:]); worst > tolerance {
				t.Errorf("second sequence token by token: a logit is off by %g", worst)
			}
		})
	}
}

func float32s(list []float64) []float32 {
	out := make([]float32, len(list))
	for i, v := range list {
		out[i] = float32(v)
	}
	return out
}
