package step

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
)

const recordSchema = 1

// A floating tag says nothing of the code behind it.
var byContent = regexp.MustCompile(`^.+(@sha256:[0-9a-f]{64}|:[0-9a-f]{12,64})$`)

// identity is what outputs follow from.
type identity struct {
	Step       string              `json:"step"`
	Verb       string              `json:"verb"`
	Code       string              `json:"code"`
	Inputs     map[string][]string `json:"inputs"`
	Parameters map[string]any      `json:"parameters"`
	Outputs    map[string]string   `json:"outputs"`
}

// told is what a call reports, and reports again while its outputs stand.
type told struct {
	Metadata map[string]map[string]any `json:"metadata"`
	Facts    map[string]any            `json:"facts"`
}

type record struct {
	Schema int      `json:"schema_version"`
	Seal   string   `json:"sha256"`
	Call   identity `json:"call"`
	Told   told     `json:"told"`
}

func (call *Call) identity() identity {
	outputs := map[string]string{}
	for name, at := range call.places {
		outputs[name] = at.target
	}
	code := os.Getenv("BRAKELINE_IMAGE")
	if !byContent.MatchString(code) {
		code = ""
	}
	return identity{call.app.Name, call.verb.Name, code, call.hashes, call.parameters, outputs}
}

// recordFile lies hidden beside the first output, so that no artifact's hash covers it.
func (call *Call) recordFile() string {
	first := call.places[call.verb.Outputs[0].Name].target
	return filepath.Join(filepath.Dir(first), "."+filepath.Base(first)+".made.json")
}

// remember records a call of known code whose outputs are in place.
func (call *Call) remember(report told) error {
	made := record{recordSchema, "", call.identity(), report}
	if made.Call.Code == "" {
		return nil
	}
	made.Seal = sealOf(made)
	return writeText(call.recordFile(), asJSON(made)+"\n")
}

// standing is what an earlier call told, if its outputs stand for this one, and else what differs. Whatever is not
// known counts as different: the worst that can happen is work done twice.
func (call *Call) standing() (told, string) {
	now := call.identity()
	if now.Code == "" {
		return told{}, "unknown: the code, BRAKELINE_IMAGE is no reference by content"
	}
	text, err := os.ReadFile(call.recordFile())
	if err != nil {
		return told{}, "record: there is none"
	}
	var made record
	if json.Unmarshal(text, &made) != nil || made.Schema != recordSchema || made.Seal != sealOf(made) {
		return told{}, "record: unreadable"
	}
	then := made.Call
	switch {
	case now.Step != then.Step || now.Verb != then.Verb || now.Code != then.Code:
		return told{}, "code"
	case !reflect.DeepEqual(now.Inputs, then.Inputs):
		return told{}, "inputs"
	case asJSON(now.Parameters) != asJSON(then.Parameters):
		return told{}, "parameters"
	case !reflect.DeepEqual(now.Outputs, then.Outputs):
		return told{}, "outputs"
	}
	for name, target := range now.Outputs {
		if sha256, err := Sha256Of(target); err != nil || sha256 != made.Told.Metadata[name]["sha256"] {
			return told{}, "output " + name
		}
	}
	return made.Told, ""
}

// sealOf makes a flipped byte in what is told as good as no record.
func sealOf(made record) string {
	made.Seal = ""
	return hashText(asJSON(made))
}
