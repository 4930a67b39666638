package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"

	"brakeline.example/drivelog/step"
)

// What a person will read of a cell that was rejected [characters].
const shownCharacters = 80

// recording is what a conversion writes, and what it counts.
type recording struct {
	form             form
	recorded, reject *bufio.Writer
	rows, rejected   int
	byColumn         map[string]int
	first            []string
}

func convert(call *step.Call) (step.Result, error) {
	known, err := readForm(call.Inputs("form")[0])
	if err != nil {
		return step.Result{}, err
	}
	if err := eachOnce(call); err != nil {
		return step.Result{}, err
	}
	recorded, closeRecorded, err := create(call, "recorded")
	if err != nil {
		return step.Result{}, err
	}
	rejects, closeRejects, err := create(call, "rejects")
	if err != nil {
		return step.Result{}, err
	}
	into := &recording{form: known, recorded: recorded, reject: rejects, byColumn: map[string]int{}}
	recorded.WriteString(known.head())
	rejects.WriteString("log,line,column,from,found,allowed\n")
	if err := into.addAll(call); err != nil {
		return step.Result{}, err
	}
	if err := closeRecorded(); err != nil {
		return step.Result{}, err
	}
	if err := closeRejects(); err != nil {
		return step.Result{}, err
	}
	return into.result(call)
}

func (into *recording) addAll(call *step.Call) error {
	logs, total, done := call.Inputs("logs"), int64(0), int64(0)
	for _, path := range logs {
		about, err := os.Stat(path)
		if err != nil {
			return step.Unreadable(path, "CSV file", err.Error())
		}
		if about.IsDir() {
			return step.Unreadable(path, "CSV file", "it is a folder")
		}
		total += about.Size()
	}
	tell := step.Progress("drivelog", total)
	for number, path := range logs {
		file, err := os.Open(path)
		if err != nil {
			return step.Unreadable(path, "CSV file", err.Error())
		}
		counted := &counting{file, &done, total, tell}
		err = into.add(counted, path, call.Sha256s("logs")[number])
		file.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// result counts, and refuses a recording of which too much was left out: a wrong form must not pass for bad rows.
func (into *recording) result(call *step.Call) (step.Result, error) {
	most := call.Number("max_rejected_share")
	counts := map[string]any{
		"rows": into.rows - into.rejected, "rejected_rows": into.rejected, "rejected_by_column": into.byColumn,
	}
	if into.rejected > 0 {
		warned := map[string]any{"first": strings.Join(into.first, "; ")}
		for name, value := range counts {
			warned[name] = value
		}
		step.Warn("rows_rejected", warned)
	}
	if float64(into.rejected) > most*float64(into.rows) {
		found := fmt.Sprintf(
			"%d of %d rejected (%s): %s", into.rejected, into.rows, into.reasons(), strings.Join(into.first, "; "),
		)
		share := strconv.FormatFloat(most, 'g', -1, 64)
		return step.Result{}, step.BadData(
			strings.Join(call.Inputs("logs"), ", "), "rows", found,
			"at most a share of "+share+" (--max-rejected-share)",
		)
	}
	return step.Result{
		Metadata: map[string]map[string]any{
			"recorded": {"rows": into.rows - into.rejected, "logs": len(call.Inputs("logs"))},
			"rejects":  {"rows": into.rejected},
		},
		Facts: counts,
	}, nil
}

func (into *recording) reasons() string {
	var told []string
	for name, count := range into.byColumn {
		told = append(told, fmt.Sprintf("%s %d", name, count))
	}
	sort.Strings(told)
	return strings.Join(told, ", ")
}

// eachOnce refuses a log that is given twice: its stops would count twice, and stand on both sides of a split.
func eachOnce(call *step.Call) error {
	seen := map[string]string{}
	for number, sha256 := range call.Sha256s("logs") {
		path := call.Inputs("logs")[number]
		if other, twice := seen[sha256]; twice {
			return step.BadData(path, "content", "the same as in "+other, "each log once")
		}
		seen[sha256] = path
	}
	return nil
}

func create(call *step.Call, output string) (*bufio.Writer, func() error, error) {
	file, err := os.OpenFile(call.Output(output), os.O_WRONLY|os.O_TRUNC, 0o666)
	if err != nil {
		return nil, nil, step.CannotWrite(call.Place(output), err)
	}
	buffer := bufio.NewWriterSize(file, 1<<16)
	return buffer, func() error {
		// A buffered writer keeps its first error, so what went wrong at any row is told here.
		if err := buffer.Flush(); err != nil {
			return step.CannotWrite(call.Place(output), err)
		}
		if err := file.Close(); err != nil {
			return step.CannotWrite(call.Place(output), err)
		}
		return nil
	}, nil
}

// counting tells the progress of what is read through it.
type counting struct {
	file  io.Reader
	done  *int64
	total int64
	tell  func(done int64)
}

func (through *counting) Read(into []byte) (int, error) {
	count, err := through.file.Read(into)
	if *through.done += int64(count); count > 0 {
		through.tell(*through.done)
	}
	return count, err
}
