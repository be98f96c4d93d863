package result

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/llenergymeasure/llem/core/energy"
)

// Files of a trial.
const (
	trialFile    = "trial.json"
	powerFile    = "power.parquet"
	requestsFile = "requests.parquet"
	logFile      = "log.txt"
	reasonFile   = "abandoned.txt"
)

// Attempt is a trial being worked on, in attempts/. It ends in exactly one of
// Publish, Fail and Abandon. Except for Log, it is used by one goroutine.
type Attempt struct {
	dir      *Dir
	path     string
	cell     string
	block    int
	log      *logWriter
	requests *requestsWriter
	ended    bool
}

// Begin starts an attempt at one cell of one block.
func (d *Dir) Begin(cellID string, block int) (*Attempt, error) {
	if cellID == "" || strings.HasPrefix(cellID, ".") || slug(cellID, "") != cellID {
		return nil, fmt.Errorf("begin a trial: cell id %q cannot be part of a file name; expected letters, digits, '-', '_' and '.'", cellID)
	}
	if block < 0 {
		return nil, fmt.Errorf("begin a trial of cell %s: block %d is below 0", cellID, block)
	}
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("draw the id of an attempt: %w", err)
	}
	a := &Attempt{dir: d, cell: cellID, block: block}
	a.path = filepath.Join(d.path, attemptsDir, runName(cellID, block)+"-"+hex.EncodeToString(id[:]))
	if err := os.Mkdir(a.path, 0o755); err != nil {
		return nil, writeError(a.path, err)
	}
	log, err := openLog(filepath.Join(a.path, logFile))
	if err != nil {
		// Nothing was tried in it.
		return nil, errors.Join(err, os.Remove(a.path))
	}
	a.log = log
	return a, nil
}

// runName is a trial's place in runs/.
func runName(cell string, block int) string { return fmt.Sprintf("%s-b%d", cell, block) }

// RunDir is where a trial is published, relative to the result directory.
func RunDir(cell string, block int) string { return runsDir + "/" + runName(cell, block) }

// Path of the attempt's directory; it is gone after Publish.
func (a *Attempt) Path() string { return a.path }

// Log takes the plugin's lines. Writing never fails, so that a full disk does
// not block the plugin: what was lost is a warning of the trial.
func (a *Attempt) Log() io.Writer { return a.log }

// ErrUnstorable: a trial's record holds something that its file cannot, such as
// a number that is none.
var ErrUnstorable = errors.New("cannot be stored")

// Publish stores a successful trial and moves the attempt into runs/ by one
// rename. If a trial of the same cell and block is there already, that one
// stays, the attempt is kept in attempts/, and the error is ErrExists. After
// ErrUnstorable nothing was done, and the attempt still has to end by Fail.
func (a *Attempt) Publish(t Trial) error {
	if t.Status != StatusOK {
		return fmt.Errorf("publish trial %s: its status is %q; only a trial that is ok belongs in %s/", runName(a.cell, a.block), t.Status, runsDir)
	}
	if _, err := encodeTrial(t); err != nil {
		return fmt.Errorf("publish trial %s: its record %w: %w; its series are kept in %s", runName(a.cell, a.block), ErrUnstorable, err, a.path)
	}
	if err := a.finish(t); err != nil {
		return err
	}
	runs := filepath.Join(a.dir.path, runsDir)
	target := filepath.Join(runs, runName(a.cell, a.block))
	if err := os.Rename(a.path, target); err != nil {
		if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ENOTDIR) {
			return fmt.Errorf("publish %s: a trial of this cell and block %w; this one is kept in %s", target, ErrExists, a.path)
		}
		return fmt.Errorf("publish %s: %w%s; the trial is kept in %s", target, err, advice(err, "check the file system"), a.path)
	}
	return errors.Join(syncDir(runs), syncDir(filepath.Dir(a.path)))
}

// Fail stores a failed or interrupted trial in place: runs/ holds only what succeeded. Of a
// record that cannot be stored it keeps what the trial is and why it failed.
func (a *Attempt) Fail(t Trial) error {
	if t.Status != StatusFailed && t.Status != StatusInterrupted || t.Failure == nil {
		return fmt.Errorf("store failed trial %s: its status is %q and it must say why it failed", runName(a.cell, a.block), t.Status)
	}
	return a.finish(t)
}

// Abandon ends an attempt that has no record, and says why in a file.
func (a *Attempt) Abandon(reason string) error {
	if a.ended {
		return a.endedError()
	}
	a.ended = true
	err := a.requests.close()
	return errors.Join(err, a.log.close(), writeSynced(filepath.Join(a.path, reasonFile), []byte(reason+"\n")))
}

// finish stores the trial, or notes why that cannot be done.
func (a *Attempt) finish(t Trial) error {
	if a.ended {
		return a.endedError()
	}
	a.ended = true
	err := a.store(t)
	if err != nil {
		if a.dir.unstored == nil {
			a.dir.unstored = map[string]error{}
		}
		a.dir.unstored[filepath.Base(a.path)] = err
		// There may be room for a line.
		_ = writeSynced(filepath.Join(a.path, reasonFile), []byte(unstoredReason(err)+"\n"))
	}
	return err
}

func unstoredReason(err error) string { return "its record could not be stored: " + err.Error() }

// store closes the series, writes trial.json and makes all of it durable.
func (a *Attempt) store(t Trial) error {
	if t.Cell.ID != a.cell || t.Block != a.block {
		return fmt.Errorf("store trial %s: the record is of cell %q, block %d", runName(a.cell, a.block), t.Cell.ID, t.Block)
	}
	warn := func(code, message string) {
		t.Warnings = append(t.Warnings[:len(t.Warnings):len(t.Warnings)], energy.Warning{Code: code, Severity: energy.SeverityWarning, Message: message})
	}
	// A failed trial may have failed because of this very file.
	if err := a.requests.close(); err != nil && t.Status != StatusOK {
		warn("requests_incomplete", err.Error())
	} else if err != nil {
		return err
	}
	if err := a.log.close(); err != nil {
		warn("log_incomplete", "the trial's log is not complete: "+err.Error())
	}
	if t.Status == StatusOK { // no figure rests on what a failed one left
		var err error
		if t.Files, err = filesOf(a.path); err != nil {
			return err
		}
	}
	text, err := encodeTrial(t)
	if err != nil && t.Status != StatusOK {
		bare := t.bare()
		warn("record_incomplete", "only what the trial is and why it failed is stored: "+err.Error())
		bare.Warnings = t.Warnings
		text, err = encodeTrial(bare)
	}
	if err != nil {
		return fmt.Errorf("encode trial %s: %w", runName(a.cell, a.block), err)
	}
	if err := writeSynced(filepath.Join(a.path, trialFile), text); err != nil {
		return err
	}
	return syncDir(a.path)
}

// bare is a failed trial without any part that may hold numbers.
func (t Trial) bare() Trial {
	return Trial{
		Study: t.Study, Block: t.Block, Position: t.Position, Status: t.Status, Failure: t.Failure,
		Cell: Cell{
			ID: t.Cell.ID, Label: t.Cell.Label, Instance: t.Cell.Instance, Definition: t.Cell.Definition, Loop: t.Cell.Loop, Grouped: t.Cell.Grouped,
			Probe: t.Cell.Probe, ProbeID: t.Cell.ProbeID,
		},
		Host: t.Host, BootID: t.BootID, StartedUTC: t.StartedUTC, FinishedUTC: t.FinishedUTC, CoreVersion: t.CoreVersion, Plugin: t.Plugin,
		Sources: []Source{}, Boundary: t.Boundary, Headline: []string{}, Windows: []Window{},
	}
}

func (a *Attempt) endedError() error {
	return fmt.Errorf("end attempt %s: it has ended already", a.path)
}

// writeSynced writes a file of a directory that is not published yet. What
// fails leaves no file behind: a record that is there is whole.
func writeSynced(path string, text []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return writeError(path, err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return errors.Join(writeError(path, err), os.Remove(path))
	}
	return nil
}

// syncDir makes a rename or a new file durable. Some file systems cannot sync
// a directory; they order renames by themselves.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("sync %s: %w%s", path, err, advice(err, "check the file system"))
	}
	return nil
}
