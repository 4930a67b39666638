package main

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"brakeline.example/drivelog/step"
)

const (
	byteOrderMark = "\ufeff"
	// Of what was converted: more than the dataset's 32-bit numbers hold, and less than rounding leaves behind.
	significantDigits = 9
)

var plainNumber = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`)

// add converts one log, row by row, so that memory does not grow with it.
func (into *recording) add(file io.Reader, path, sha256 string) error {
	stream := bufio.NewReaderSize(file, 1<<16)
	if mark, err := stream.Peek(len(byteOrderMark)); err == nil && string(mark) == byteOrderMark {
		stream.Discard(len(byteOrderMark))
	}
	reader := csv.NewReader(stream)
	reader.Comma, _ = utf8.DecodeRuneInString(into.form.Delimiter)
	reader.FieldsPerRecord, reader.ReuseRecord = -1, true
	header, err := reader.Read()
	if err != nil {
		return step.Unreadable(path, "CSV file", fmt.Sprintf("no header: %s", err))
	}
	places, err := into.places(path, header)
	if err != nil {
		return err
	}
	width := len(header)
	cells := make([]string, len(places))
	for {
		row, err := reader.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return step.Unreadable(path, "CSV file", err.Error())
		}
		line, _ := reader.FieldPos(0)
		for _, cell := range row {
			if !utf8.ValidString(cell) {
				return step.Unreadable(path, "CSV file", fmt.Sprintf("line %d is not UTF-8", line))
			}
		}
		into.row(filepath.Base(path), sha256, line, width, row, places, cells)
	}
}

// places are the cells that columns come from, -1 for a constant. A column of the log that the form does not know is
// refused: a typing error must not become a missing reading.
func (into *recording) places(path string, header []string) ([]int, error) {
	at := map[string]int{}
	for number, name := range header {
		name = strings.TrimSpace(name)
		if _, twice := at[name]; twice {
			return nil, step.BadData(path, "header", fmt.Sprintf("%q twice", name), "each column once")
		}
		at[name] = number
	}
	told := strings.Join(header, ", ")
	places, used := make([]int, len(into.form.Columns)), map[string]bool{}
	for number, one := range into.form.Columns {
		places[number] = -1
		if one.Constant != nil {
			continue
		}
		place, there := at[one.From]
		if !there {
			return nil, step.BadData(path, "column "+one.From, "missing", "present, as the form says; there is "+told)
		}
		places[number], used[one.From] = place, true
	}
	for _, name := range into.form.Ignored {
		used[name] = true
	}
	for _, name := range header {
		if name = strings.TrimSpace(name); !used[name] {
			return nil, step.BadData(path, "column "+name, "not in the form", "a column's `from`, or listed in `ignored`")
		}
	}
	return places, nil
}

// row writes a row, or the reasons why it is left out.
func (into *recording) row(log, sha256 string, line, width int, row []string, places []int, cells []string) {
	into.rows++
	good := len(row) == width
	if !good {
		into.refuse(log, line, "row", "", fmt.Sprintf("%d cells", len(row)), fmt.Sprintf("%d cells", width))
	} else {
		for number, one := range into.form.Columns {
			if one.Constant != nil {
				cells[number] = *one.Constant
				continue
			}
			found := strings.TrimSpace(row[places[number]])
			cell, allowed := into.form.cell(one, found, sha256)
			if allowed != "" {
				into.refuse(log, line, one.Name, one.From, found, allowed)
				good = false
			}
			cells[number] = cell
		}
	}
	if !good {
		into.rejected++
		return
	}
	for number, cell := range cells {
		if number > 0 {
			into.recorded.WriteByte(',')
		}
		into.recorded.WriteString(asCell(cell))
	}
	into.recorded.WriteByte('\n')
}

// cell is what becomes of a cell, or what would have been allowed.
func (known form) cell(one column, found, sha256 string) (string, string) {
	for _, nothing := range known.Missing {
		if found == nothing {
			if one.Required {
				return "", "something"
			}
			return "", ""
		}
	}
	switch {
	case one.Codes != nil:
		code, ok := one.Codes[found]
		if !ok {
			return "", "one of " + one.words()
		}
		return strconv.FormatFloat(code, 'f', -1, 64), ""
	case one.Unit == "":
		if one.PerLog {
			// Two logs may number their drives alike; of the content, so that no path decides.
			return sha256[:12] + "/" + found, ""
		}
		return found, ""
	}
	text := found
	if known.Decimal == "," {
		if strings.Contains(text, ".") {
			return "", "a number with a decimal comma and no dots"
		}
		text = strings.Replace(text, ",", ".", 1)
	}
	number, err := strconv.ParseFloat(text, 64)
	if !plainNumber.MatchString(text) || err != nil || math.IsInf(number, 0) {
		return "", "a number [" + one.Unit + "]"
	}
	from, to, digits := units[one.Unit], units[one.To], significantDigits
	if from == to {
		digits = -1
	}
	return strconv.FormatFloat(converted(number, from, to), 'g', digits, 64), ""
}

func (into *recording) refuse(log string, line int, column, from, found, allowed string) {
	if found == "" {
		found = "missing"
	}
	if shown := []rune(found); len(shown) > shownCharacters {
		found = string(shown[:shownCharacters])
	}
	into.byColumn[column]++
	if len(into.first) < 3 {
		into.first = append(into.first, fmt.Sprintf("%s line %d: %s found %s, allowed %s", log, line, column, found, allowed))
	}
	cells := []string{asCell(log), strconv.Itoa(line), asCell(column), asCell(from), asCell(found), asCell(allowed)}
	into.reject.WriteString(strings.Join(cells, ",") + "\n")
}

// asCell quotes what would not come back as it is; a first cell that begins with # would be a comment.
func asCell(text string) string {
	if strings.ContainsAny(text, ",\"\r\n") || strings.HasPrefix(text, "#") {
		return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
	}
	return text
}
