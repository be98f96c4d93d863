package openaiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/proc"
	"github.com/llenergymeasure/llem/sdk/internal/transport"
	"github.com/llenergymeasure/llem/sdk/loadgen"
	"github.com/llenergymeasure/llem/sdk/serve"
)

// The test binary is also the server that the tests start, a real process on a
// real port with the manners that its "behave" parameter names, a child of that
// server, and the plugin.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("OPENAI_TEST_CHILD") != "":
		select {}
	case len(os.Args) > 1 && os.Args[1] == "serve-tokens":
		os.Exit(serveTokens(os.Args[2:]))
	case len(os.Args) > 1 && os.Args[1] == "container-double":
		os.Exit(containerDouble(os.Args[2:]))
	case transport.Started():
		serve.Backend(Backend(testEngine()))
		return
	}
	if err := proc.BecomeSubreaper(); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func testEngine() Engine {
	return Engine{
		Name: "tokens", Version: "0.1.0", Doc: "Counts up.",
		Parameters: []Parameter{
			Flag("--behave", sdk.Text("behave").Doc("What is wrong with the server.")),
			Flag("--max-seqs", sdk.Int("max_seqs").Between(1, 100).Doc("Sequences.")),
			Switch("--cache", "--no-cache", sdk.Bool("cache").Or(false).Doc("Prefix cache.")),
			JSON("--config", sdk.Free("config").Doc("More.")),
			Env("TOKENS_TEST_THREADS", sdk.Int("threads").Doc("Threads.")),
		},
		Command: func(l Launch) ([]string, error) {
			path, err := os.Executable()
			return []string{path, "serve-tokens", l.PortText()}, err
		},
		Dialect: loadgen.VLLM(), Ready: "/health",
		Stages: []Stage{{Kind: sdk.StageWeights, Begin: regexp.MustCompile("loading weights"), End: regexp.MustCompile("weights loaded"), Progress: regexp.MustCompile(`(\d+)%`)}},
		Metrics: Metrics{
			Path: "/metrics", EngineSteps: "steps_total", PromptTokens: "prompt_total", OutputTokens: "output_total", Preemptions: "never_told",
			Busy: []string{"running"}, Named: []Named{{Name: "seconds_sum", Unit: "s"}},
		},
		ReadBack: func(_ context.Context, s *Server, _ *sdk.LoadReport) error {
			if s.Workload.MaxInputTokens > 100 {
				s.Mistrust("steps_total")
			}
			return nil
		},
		Flush:      func(p sdk.Table) string { return map[bool]string{true: "/flush"}[p.Bool("cache", false)] },
		Containers: true, MaxCancelMs: 2000,
	}
}

// serveTokens is the server.
func serveTokens(args []string) int {
	behave := "well"
	for i, arg := range args {
		if arg == "--behave" {
			behave = args[i+1]
		}
	}
	fmt.Println("loading weights")
	fmt.Println("loading 50%")
	switch behave {
	case "dies loading":
		fmt.Println("RuntimeError: the weights are broken")
		fmt.Println("shutting down")
		return 0 // an exit status of 0 is no success
	case "rejects":
		fmt.Println("usage: server [options]\nserver: error: argument --max-seqs: invalid choice: 7")
		return 2
	case "runs out of memory":
		fmt.Println("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB")
		return 1
	case "hangs":
		select {}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+args[0])
	if err != nil {
		fmt.Println("error: address already in use")
		return 1
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "OPENAI_TEST_CHILD=1")
	if err := child.Start(); err != nil {
		return 1
	}
	if behave == "is deaf" { // the kernel takes connections for it
		select {}
	}
	var prompts, outputs, running, refused, flushes atomic.Int64
	told := make(chan os.Signal, 1)
	if behave == "waits for its clients" {
		signal.Notify(told, syscall.SIGTERM)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		if key := os.Getenv("TOKENS_TEST_KEY"); key != "" && r.Header.Get("Authorization") != "Bearer "+key {
			http.Error(w, "wrong key", http.StatusUnauthorized)
			return
		}
		if behave == "has more models" {
			fmt.Fprint(w, `{"data":[{"id":"letters"},{"id":"numbers","root":"org/numbers"}]}`)
			return
		}
		fmt.Fprint(w, `{"data":[{"id":"numbers"}]}`)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE steps_total counter\nsteps_total{engine=\"0\"} %d\nprompt_total %d\noutput_total{a=\"}\"} %d 17\nrunning %d\nseconds_sum 0.5\nseconds_bucket{le=\"1\"} 3\n", outputs.Load(), prompts.Load(), outputs.Load(), running.Load())
	})
	mux.HandleFunc("POST /flush", func(w http.ResponseWriter, _ *http.Request) {
		switch n := flushes.Add(1); {
		case behave == "never drops its cache", behave == "drops its cache late" && n == 1:
			fmt.Fprint(w, `{"success":false}`)
		case behave == "drops its cache late" && n == 2:
			http.Error(w, "requests are pending", http.StatusBadRequest)
		case behave == "drops its cache late" && n == 3:
			fmt.Fprint(w, `{"success":true}`)
		case behave == "drops its cache late":
			http.Error(w, "asked too often", http.StatusTeapot)
		}
	})
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Model  string   `json:"model"`
			Prompt []uint32 `json:"prompt"`
			Most   int      `json:"max_tokens"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Model != "numbers" {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		if behave == "dies at work" || behave == "dies later" && q.Most > 2 {
			fmt.Println("Exception: EngineCore encountered an issue")
			_ = listener.Close()
			os.Exit(0)
		}
		switch status := map[string]int{"is busy": http.StatusTooManyRequests, "is broken": http.StatusInternalServerError}[behave]; {
		case status != 0 && q.Most > 2 && refused.Add(1) <= 10:
			http.Error(w, "not now", status)
			return
		case behave == "is mute":
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		running.Add(1)
		defer running.Add(-1)
		prompts.Add(int64(len(q.Prompt)))
		ids := `"token_ids"`
		switch behave {
		case "stops early":
			q.Most = 1
		case "hides its output":
			ids = `"hidden"`
		}
		for i := range q.Most {
			if behave == "dies in a stream" && i == 3 {
				fmt.Println("Fatal Python error: Segmentation fault")
				os.Exit(139)
			}
			outputs.Add(1)
			finish := "null"
			if i == q.Most-1 {
				finish = `"length"`
			}
			fmt.Fprintf(w, "data: {\"choices\":[{\"text\":\"\",%s:[%d],\"finish_reason\":%s}]}\n\n", ids, q.Prompt[0]+uint32(i), finish)
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-told:
				fmt.Println("Shutting down")
				_ = listener.Close()
				<-r.Context().Done()
				os.Exit(0)
			case <-time.After(time.Millisecond):
			}
		}
		fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", len(q.Prompt), q.Most)
	})
	fmt.Println("weights loaded")
	server := &http.Server{Handler: mux}
	if behave == "is impatient" {
		server.IdleTimeout = 20 * time.Millisecond
	}
	err = server.Serve(listener)
	if behave == "waits for its clients" {
		select {}
	}
	fmt.Println(err)
	return 1
}

func testCell(parameters sdk.Table) sdk.Cell {
	return sdk.Cell{
		ID: "test", Parameters: parameters, Model: sdk.Model{ID: "numbers", Weights: sdk.WeightsDummy},
		Workload: sdk.Workload{RequestsPerPass: 4, MaxInputTokens: 8, MaxOutputTokens: 4, ExactLengths: true, Sampling: sdk.Sampling{Seed: 1}},
		Load:     sdk.LoadShape{Loop: sdk.LoopClosed, Concurrency: 4}, Protocol: sdk.ProtocolShape{WindowNs: 1e9},
	}
}

// loading is a load that a test watches.
type loading struct {
	*backend
	report sdk.LoadReport
	stages []string
	err    error
}

func load(t *testing.T, parameters sdk.Table, secrets map[string]string) *loading {
	t.Helper()
	l := &loading{backend: Backend(testEngine()).(*backend)}
	t.Cleanup(func() { unload(t, l) })
	progress := sdk.NewProgress(func(e sdk.StageEvent) { l.stages = append(l.stages, string(e.Kind)+" "+string(e.Moment)) })
	l.report, l.err = l.Load(t.Context(), sdk.LoadRequest{Cell: testCell(parameters), WorkDir: t.TempDir(), Secrets: secrets}, progress)
	return l
}

func unload(t *testing.T, l *loading) {
	t.Helper()
	p := l.process
	if err := l.Unload(t.Context()); err != nil && t.Context().Err() == nil {
		t.Error(err)
	}
	if p == nil {
		return
	}
	if left := p.family.Look(); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	if _, err := os.Stat(p.scratch); err == nil {
		t.Errorf("%s is left", p.scratch)
	}
}

// mustLoad is a server that is up.
func mustLoad(t *testing.T, parameters sdk.Table) *loading {
	t.Helper()
	l := load(t, parameters, nil)
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l
}
