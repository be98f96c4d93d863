package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/llenergymeasure/llem/sdk"
)

// findPython returns the interpreter to use: the one that is named, that of the
// active virtual environment, or python3.
func findPython(named string) (string, error) {
	missing := func(err error, advice, format string, args ...any) error {
		message := fmt.Sprintf(format, args...)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, exec.ErrNotFound) {
			message += ": " + err.Error()
		}
		return &sdk.Error{Code: sdk.EngineMissing, KeyPath: "python", Message: message, Advice: advice}
	}
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", missing(err, "name the interpreter of an environment with torch and transformers", "there is no Python interpreter %s", named)
		}
		return filepath.Abs(path)
	}
	if environment := os.Getenv("VIRTUAL_ENV"); environment != "" {
		path := filepath.Join(environment, "bin", "python")
		if _, err := os.Stat(path); err != nil {
			return "", missing(err, "activate the environment anew, or set python", "the active virtual environment %s has no bin/python", environment)
		}
		return path, nil
	}
	path, err := exec.LookPath("python3")
	if err != nil {
		return "", missing(err, "install Python 3.10 or newer and `pip install torch transformers`, or set python to an interpreter that has them", "there is no Python on this machine: python3 is not in PATH and no virtual environment is active")
	}
	return path, nil
}
