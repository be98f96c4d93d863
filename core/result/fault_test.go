package result

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// Environment of the test binary when it plays a process that writes results.
const (
	helperDir   = "LLEM_TEST_RESULT_DIR"
	helperLimit = "LLEM_TEST_FILE_LIMIT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		os.Exit(helper(dir, os.Getenv(helperLimit)))
	}
	os.Exit(m.Run())
}

// helper publishes trials: one under a limit on file sizes, or without end.
func helper(path, limit string) int {
	t := &testing.T{} // only for the fixtures' signatures; they do not fail
	traces := sampleTraces(t)
	trial := sampleTrial(t, traces)
	d, err := OpenDir(path)
	if err != nil {
		fmt.Println(err)
		return 3
	}
	if limit == "" {
		for trial.Block = 0; ; trial.Block++ {
			if err := publish(d, trial, traces); err != nil {
				fmt.Println(err)
				return 1
			}
			fmt.Println("published", trial.Block)
		}
	}
	most, err := strconv.ParseUint(limit, 10, 64)
	if err != nil {
		fmt.Println(err)
		return 3
	}
	signal.Ignore(syscall.SIGXFSZ) // so that a write fails as on a full disk
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
		fmt.Println(err)
		return 3
	}
	err = errors.Join(
		d.WriteStudy([]byte(strings.Repeat("# text\n", 20))), d.WritePlan(1, trial.Cell.Parameters),
		d.WriteWork("h1", []sdk.WorkItem{{TokenIDs: make([]uint32, 5000), MaxTokens: 1}}),
		publish(d, trial, traces),
	)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// A disk that fills at any point of the way leaves nothing half-written in
// runs/, nor any other file that looks whole and is not.
func TestFullDisk(t *testing.T) {
	failed, published := 0, 0
	for _, limit := range []int{0, 1, 30, 100, 200, 500, 1000, 2000, 4000, 6000, 8000, 12_000, 16_000, 24_000, 32_000, 64_000, 1 << 20} {
		d := testDir(t)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), helperDir+"="+d.Path(), helperLimit+"="+strconv.Itoa(limit))
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
			t.Fatalf("limit %d: %v: %s", limit, err, out)
		}
		ok, _, problems := ReadTrials(d.Path())
		runs, readErr := os.ReadDir(filepath.Join(d.Path(), "runs"))
		if readErr != nil {
			t.Fatal(readErr)
		}
		if len(runs) != len(ok) {
			t.Errorf("limit %d: runs/ holds %d entries, %d of them whole (%v)", limit, len(runs), len(ok), problems)
		}
		for _, trial := range ok {
			recompute(t, filepath.Join(d.Path(), trial.Dir), trial)
			if requests, err := ReadRequests(filepath.Join(d.Path(), trial.Dir)); err != nil || len(requests) != 2 {
				t.Errorf("limit %d: %d requests, %v", limit, len(requests), err)
			}
		}
		if text, err := os.ReadFile(filepath.Join(d.Path(), "study.toml")); err == nil && len(text) != 140 {
			t.Errorf("limit %d: study.toml has %d of 140 bytes", limit, len(text))
		}
		if _, err := os.Stat(filepath.Join(d.Path(), "work/h1.parquet")); err == nil {
			if items, err := d.ReadWork("h1"); err != nil || len(items) != 1 {
				t.Errorf("limit %d: stored work: %d items, %v", limit, len(items), err)
			}
		}
		if err != nil {
			failed++
			if !strings.Contains(string(out), "ulimit -f") || !strings.Contains(string(out), d.Path()) {
				t.Errorf("limit %d: the message names neither file nor remedy: %s", limit, out)
			}
		} else {
			published += len(ok)
		}
	}
	if failed < 5 || published < 1 {
		t.Errorf("%d limits failed and %d trials were published: the limits do not straddle the sizes", failed, published)
	}
}

// A process killed at any moment leaves only whole trials in runs/.
func TestKilledWhilePublishing(t *testing.T) {
	d := testDir(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperDir+"="+d.Path())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range 3 {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), "published") {
			t.Errorf("the helper said %q", lines.Text())
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	ok, failed, problems := ReadTrials(d.Path())
	runs, err := os.ReadDir(filepath.Join(d.Path(), "runs"))
	if err != nil || len(ok) < 3 || len(runs) != len(ok) || len(failed) != 0 {
		t.Errorf("%d whole trials of %d in runs/, %d failed, %v", len(ok), len(runs), len(failed), err)
	}
	for _, p := range problems {
		if !strings.Contains(p.Error(), "attempts") {
			t.Errorf("a problem outside attempts/: %v", p)
		}
	}
	for _, trial := range ok {
		recompute(t, filepath.Join(d.Path(), trial.Dir), trial)
	}
}
