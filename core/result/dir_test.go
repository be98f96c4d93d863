package result

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestCreateNamesAndParts(t *testing.T) {
	d := testDir(t)
	if name := filepath.Base(d.Path()); !regexp.MustCompile(`^quick-start-20260102T030405Z-[0-9a-f]{4}$`).MatchString(name) {
		t.Errorf("directory is named %s", name)
	}
	for _, part := range []string{"runs", "attempts", "environment", "work"} {
		if info, err := os.Stat(filepath.Join(d.Path(), part)); err != nil || !info.IsDir() {
			t.Errorf("no %s/: %v", part, err)
		}
	}
	if _, err := OpenDir(d.Path()); err != nil {
		t.Error(err)
	}
	for in, want := range map[string]string{"../../x y": "x-y", "": "study", "...": "study", "日本": "study", strings.Repeat("a", 99): strings.Repeat("a", 64)} {
		if got := slug(in, "study"); got != want {
			t.Errorf("slug(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCreateRefusals(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{file, filepath.Join(file, "deeper")} {
		_, err := Create(root, "s", time.Now())
		if err == nil || !strings.Contains(err.Error(), root) || !strings.Contains(err.Error(), "a file is in the way") {
			t.Errorf("Create under a file: %v", err)
		}
	}
	for _, path := range []string{file, t.TempDir(), filepath.Join(t.TempDir(), "absent")} {
		if _, err := OpenDir(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("OpenDir(%s): %v", path, err)
		}
	}
	for errno, word := range map[error]string{syscall.ENOSPC: "disk is full", syscall.EDQUOT: "disk is full", syscall.EFBIG: "ulimit -f", syscall.EROFS: "not writable", syscall.EACCES: "not writable"} {
		if got := makeError("/out", &os.PathError{Op: "mkdir", Path: "/out", Err: errno}).Error(); !strings.Contains(got, word) || !strings.Contains(got, "/out") {
			t.Errorf("%v gives %q, want %q in it", errno, got, word)
		}
	}
}

func TestPlansAreAppendOnly(t *testing.T) {
	d := testDir(t)
	if err := d.WritePlan(1, map[string]int{"blocks": 3}); err != nil {
		t.Fatal(err)
	}
	if err := d.WritePlan(1, map[string]int{"blocks": 3}); err != nil {
		t.Errorf("the same plan again: %v", err)
	}
	if err := d.WritePlan(1, map[string]int{"blocks": 4}); !errors.Is(err, ErrExists) {
		t.Errorf("another plan for the same round: %v", err)
	}
	if err := errors.Join(d.WritePlan(2, 5), d.WriteStudy([]byte("name = \"x\"\n")), d.WriteLock([]byte("l")), d.WriteEnvironment("../alpha", struct{}{})); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"plan-1.json": "{\n  \"blocks\": 3\n}\n", "plan-2.json": "5\n", "study.toml": "name = \"x\"\n", "llem.lock": "l", "environment/alpha.json": "{}\n"} {
		if got, err := os.ReadFile(filepath.Join(d.Path(), name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
		}
	}
}

func TestBeginRefusesNamesThatLeaveTheDirectory(t *testing.T) {
	d := testDir(t)
	for _, id := range []string{"", "..", "a/b", "../x", ".hidden", "a b"} {
		if _, err := d.Begin(id, 0); err == nil {
			t.Errorf("cell id %q was taken", id)
		}
	}
	if _, err := d.Begin("a", -1); err == nil {
		t.Error("block -1 was taken")
	}
}

func TestPublishIsAMatterOfOneRename(t *testing.T) {
	d, traces := testDir(t), sampleTraces(t)
	trial := sampleTrial(t, traces)
	const racers = 8
	errs := make([]error, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() { errs[i] = publish(d, trial, traces) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, ErrExists):
			t.Errorf("the loser of a race: %v", err)
		}
	}
	ok, failed, problems := ReadTrials(d.Path())
	if won != 1 || len(ok) != 1 || len(failed) != 0 {
		t.Fatalf("%d of %d racers won; %d trials are published, %d failed", won, racers, len(ok), len(failed))
	}
	if len(problems) != racers-1 || !strings.Contains(problems[0].Error(), "measured but not published") {
		t.Errorf("the kept attempts are reported as %v", problems)
	}
	if ok[0].Dir != "runs/c0ffee-b2" {
		t.Errorf("read from %q", ok[0].Dir)
	}
	for _, name := range []string{"trial.json", "power.parquet", "requests.parquet", "log.txt"} {
		if _, err := os.Stat(filepath.Join(d.Path(), "runs/c0ffee-b2", name)); err != nil {
			t.Error(err)
		}
	}
}

func TestAttemptEndsOnce(t *testing.T) {
	d, traces := testDir(t), sampleTraces(t)
	trial := sampleTrial(t, traces)
	a, err := d.Begin(trial.Cell.ID, trial.Block)
	if err != nil {
		t.Fatal(err)
	}
	bad := trial
	bad.Status = StatusFailed
	if err := a.Publish(bad); err == nil {
		t.Error("a failed trial was published")
	}
	if err := a.Fail(trial); err == nil {
		t.Error("a trial that is ok was stored as failed")
	}
	if err := a.Publish(trial); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Abandon("x"), a.Publish(trial)); err == nil || strings.Count(err.Error(), "ended already") != 2 {
		t.Errorf("ending twice: %v", err)
	}
	if err := a.WriteRequests(nil, "x"); err == nil {
		t.Error("requests were taken after the end")
	}
	if err := a.WritePower(nil, 0, 1); err == nil {
		t.Error("power was taken after the end")
	}
	if n, err := a.Log().Write([]byte("late")); n != 4 || err != nil {
		t.Errorf("a late line must not disturb the plugin: %d, %v", n, err)
	}
	other, err := d.Begin("other", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Publish(trial); err == nil || !strings.Contains(err.Error(), `cell "c0ffee"`) {
		t.Errorf("a record of another cell: %v", err)
	}
}

func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.txt")
	l, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	l.most = 1 << 20
	line := []byte(strings.Repeat("x", 1000) + "\n")
	for range 3000 {
		if n, err := l.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := l.close(); err == nil || !strings.Contains(err.Error(), "more than 1 MiB") {
		t.Errorf("close: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil || len(text) < 1<<20 || len(text) > 1<<20+200 || !strings.HasSuffix(string(text), "left out]\n") {
		t.Errorf("the log has %d bytes (%v)", len(text), err)
	}
}

// What copies a result directory may leave its empty parts out.
func TestOpenDirWithoutEmptyParts(t *testing.T) {
	for _, part := range []string{runsDir, attemptsDir} {
		path := t.TempDir()
		if err := os.Mkdir(filepath.Join(path, part), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDir(path); err != nil {
			t.Error(err)
		}
		if _, _, problems := ReadTrials(path); len(problems) > 0 {
			t.Error(problems)
		}
	}
	if _, err := OpenDir(t.TempDir()); err == nil {
		t.Error("an empty directory was opened")
	}
}
