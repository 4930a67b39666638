// Package step keeps Brakeline's step contract (steps/README.md) for a program in Go; it knows nothing of braking.
//
// A program declares its verbs and calls App.Main. Inputs and outputs are files, or folders that other steps made.
package step

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Input is an option that names an artifact to read; Many for one that repeats.
type Input struct {
	Name, Kind, Description string
	Many, Optional          bool
}

// Output is an option that names a file to write. One that is Lineage is written by this package.
type Output struct {
	Name, Kind, Description string
	Optional, Lineage       bool
}

// Parameter is an option of one small value. Read turns its text into the value, or says what is allowed.
type Parameter struct {
	Name, Type, Description string
	Default                 any
	Read                    func(text string) (any, error)
}

// Verb is one thing that the program does.
type Verb struct {
	Name, Description string
	Inputs            []Input
	Outputs           []Output
	Parameters        []Parameter
	Run               func(call *Call) (Result, error)
}

// Result is what a verb hands back: metadata by output, and facts for its one line of result.
type Result struct {
	Metadata map[string]map[string]any
	Facts    map[string]any
}

// Share is a parameter from 0 to 1, both allowed.
func Share(name, description string, value float64) Parameter {
	read := func(text string) (any, error) {
		found, err := strconv.ParseFloat(text, 64)
		// Written so that NaN is refused.
		if err != nil || !(found >= 0 && found <= 1) {
			return nil, fmt.Errorf("found %q, allowed a number from 0 to 1", text)
		}
		return found, nil
	}
	return Parameter{name, "NUMBER", description, value, read}
}

// WholeNumber is a parameter that KFP may write as 20, 20.0 or 2e1.
func WholeNumber(name, description string, value, low, high int64) Parameter {
	read := func(text string) (any, error) {
		found, err := strconv.ParseFloat(text, 64)
		if err != nil || !(found >= float64(low) && found <= float64(high)) || found != math.Trunc(found) {
			return nil, fmt.Errorf("found %q, allowed a whole number from %d to %d", text, low, high)
		}
		return int64(found), nil
	}
	return Parameter{name, "INTEGER", description, value, read}
}

// Describe is the typed signature as --describe prints it.
func (verb Verb) Describe() map[string]any {
	inputs, outputs, parameters := map[string]any{}, map[string]any{}, map[string]any{}
	for _, one := range verb.Inputs {
		inputs[one.Name] = map[string]any{
			"kind": one.Kind, "many": one.Many, "optional": one.Optional, "description": one.Description,
		}
	}
	for _, one := range verb.Outputs {
		outputs[one.Name] = map[string]any{
			"kind": one.Kind, "optional": one.Optional, "description": one.Description,
		}
	}
	for _, one := range verb.Parameters {
		parameters[one.Name] = map[string]any{
			"type": one.Type, "description": one.Description, "default": one.Default,
		}
	}
	return map[string]any{
		"verb": verb.Name, "description": verb.Description, "inputs": inputs, "outputs": outputs,
		"output_parameters": map[string]any{}, "parameters": parameters,
	}
}

func (verb Verb) help(program string) string {
	var told strings.Builder
	fmt.Fprintf(&told, "Usage: %s %s [OPTIONS]\n\n  %s\n\nOptions:\n", program, verb.Name, verb.Description)
	line := func(name, kind, about string) { fmt.Fprintf(&told, "  %-34s %s\n", option(name)+" "+kind, about) }
	for _, one := range verb.Inputs {
		about := one.Description
		if one.Many {
			about += "; repeats"
		}
		line(one.Name, "PATH", about)
	}
	for _, one := range verb.Outputs {
		line(one.Name, "PATH", one.Description)
	}
	for _, one := range verb.Parameters {
		line(one.Name, one.Type, fmt.Sprintf("%s [default: %v]", one.Description, one.Default))
	}
	line("executor_input", "JSON|@FILE", "KFP's {{$}}: names inputs and outputs as JSON.")
	line("reuse", "", "End at once if the outputs stand for this very call.")
	line("describe", "", "Print the typed signature as JSON.")
	return told.String()
}

func option(name string) string { return "--" + strings.ReplaceAll(name, "_", "-") }

func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}
