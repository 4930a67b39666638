package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"unicode/utf8"

	"brakeline.example/drivelog/step"
)

const formVersion = 1

// form says how logs are written and what becomes of their columns.
type form struct {
	Version   int      `json:"version"`
	Contract  int      `json:"contract"`
	Delimiter string   `json:"delimiter"`
	Decimal   string   `json:"decimal"`
	Missing   []string `json:"missing"`
	Columns   []column `json:"columns"`
	Ignored   []string `json:"ignored"`
}

// column is one of the recording's: a number with its unit, a code for each word, text as it stands, or a constant.
type column struct {
	Name     string             `json:"name"`
	From     string             `json:"from"`
	Unit     string             `json:"unit"`
	To       string             `json:"to"`
	Codes    map[string]float64 `json:"codes"`
	Constant *string            `json:"constant"`
	Required bool               `json:"required"`
	PerLog   bool               `json:"per_log"`
}

func readForm(path string) (form, error) {
	known := form{Delimiter: ",", Decimal: ".", Missing: []string{""}}
	text, err := os.ReadFile(path)
	if err != nil {
		return known, step.Unreadable(path, "JSON file", err.Error())
	}
	reader := json.NewDecoder(bytes.NewReader(text))
	reader.DisallowUnknownFields()
	if err := reader.Decode(&known); err != nil {
		return known, step.Unreadable(path, "form", err.Error())
	}
	if _, err := reader.Token(); err != io.EOF {
		return known, step.Unreadable(path, "form", "something follows the object")
	}
	return known, known.check(path)
}

func (known form) check(path string) error {
	bad := func(field, found, allowed string) error { return step.BadData(path, field, found, allowed) }
	if known.Version != formVersion {
		return bad("version", fmt.Sprint(known.Version), fmt.Sprint(formVersion))
	}
	if known.Contract < 1 {
		return bad("contract", fmt.Sprint(known.Contract), "the version of the data contract")
	}
	if utf8.RuneCountInString(known.Delimiter) != 1 || strings.ContainsAny(known.Delimiter, "\"\r\n\ufffd") {
		return bad("delimiter", fmt.Sprintf("%q", known.Delimiter), "one character, no quote and no line break")
	}
	if known.Decimal != "." && known.Decimal != "," {
		return bad("decimal", fmt.Sprintf("%q", known.Decimal), `"." or ","`)
	}
	if len(known.Columns) == 0 {
		return bad("columns", "none", "at least one")
	}
	names := map[string]bool{}
	for number, one := range known.Columns {
		field := fmt.Sprintf("columns[%d]", number)
		if one.Name == "" || strings.ContainsAny(one.Name, ",=\"\r\n#") || names[one.Name] {
			return bad(field+".name", fmt.Sprintf("%q", one.Name), "a name of its own, without , = # or a quote")
		}
		names[one.Name] = true
		if found, allowed := one.wrong(); allowed != "" {
			return bad(field+" ("+one.Name+")", found, allowed)
		}
	}
	return nil
}

// wrong says what is found and what is allowed where a column's declaration does not hold together.
func (one column) wrong() (string, string) {
	isNumber, isCode := one.Unit != "" || one.To != "", one.Codes != nil
	switch {
	case one.Constant != nil && (one.From != "" || isNumber || isCode || one.Required || one.PerLog):
		return "constant beside other fields", "constant alone"
	case one.Constant == nil && one.From == "":
		return "neither from nor constant", "one of them"
	case isNumber && isCode:
		return "unit and codes", "one of them"
	case isCode && len(one.Codes) == 0:
		return "no codes", "a number for each word"
	case one.PerLog && (isNumber || isCode):
		return "per_log for numbers", "per_log for text"
	case !isNumber:
		return "", ""
	}
	from, ok := units[one.Unit]
	if !ok {
		return fmt.Sprintf("unit %q", one.Unit), known("")
	}
	if to, ok := units[one.To]; !ok || to.quantity != from.quantity {
		return fmt.Sprintf("to %q", one.To), "a unit of " + from.quantity + ": " + known(from.quantity)
	}
	return "", ""
}

// words are those of a column's codes, in an order that no run changes.
func (one column) words() string {
	var words []string
	for word := range one.Codes {
		words = append(words, word)
	}
	sort.Strings(words)
	return strings.Join(words, ", ")
}

// head is what stands above a recording's rows.
func (known form) head() string {
	var names, declared []string
	for _, one := range known.Columns {
		names = append(names, one.Name)
		// A ratio has no unit to declare.
		if one.To != "" && one.To != "1" {
			declared = append(declared, one.Name+" = "+one.To)
		}
	}
	told := fmt.Sprintf("# contract: %d\n", known.Contract)
	if len(declared) > 0 {
		told += "# unit: " + strings.Join(declared, ", ") + "\n"
	}
	return told + strings.Join(names, ",") + "\n"
}
