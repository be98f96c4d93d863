package main

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

//go:embed tdp.csv
var tdpText string

// part is one model of processor.
type part struct {
	TDPW    float64 // of one socket
	Threads int     // of one socket
}

// parts is the table by model name. That it can be read is a test's business.
var parts = sync.OnceValues(func() (map[string]part, error) {
	reader := csv.NewReader(strings.NewReader(tdpText))
	reader.Comment = '#'
	rows, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the table of processors: %w", err)
	}
	table := map[string]part{}
	for _, row := range rows[1:] {
		watts, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			return nil, fmt.Errorf("read the table of processors: %s: %w", row[0], err)
		}
		threads, err := strconv.Atoi(row[2])
		if err != nil {
			return nil, fmt.Errorf("read the table of processors: %s: %w", row[0], err)
		}
		table[row[0]] = part{TDPW: watts, Threads: threads}
	}
	return table, nil
})

// What kernels write around a model: "12th Gen Intel(R) Core(TM) i7-12700K",
// "Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "AMD EPYC 7763 64-Core Processor".
var ornament = regexp.MustCompile(`\((R|r|TM|tm)\)|@.*$|\bCPU\b|\b\d+-Cores?\b|\bProcessors?\b|\b\d+th Gen\b`)

// plainModel is the model as the table writes it.
func plainModel(model string) string {
	return strings.Join(strings.Fields(ornament.ReplaceAllString(model, " ")), " ")
}
