package step

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
)

type place struct{ hidden, target, uri string }

// Call is one call of a verb: its inputs checked, its outputs staged, its parameters read.
type Call struct {
	app        *App
	verb       Verb
	inputs     map[string][]string
	hashes     map[string][]string
	parameters map[string]any
	places     map[string]place
	given      executorInput
	reuse      bool
}

// Inputs are the paths of an input, in their order.
func (call *Call) Inputs(name string) []string { return call.inputs[name] }

// Sha256s are the hashes of an input's artifacts, in the same order.
func (call *Call) Sha256s(name string) []string { return call.hashes[name] }

// Output is the hidden file to write an output to; it is moved to its place when the verb is done.
func (call *Call) Output(name string) string { return call.places[name].hidden }

// Place is where an output will be, for messages.
func (call *Call) Place(name string) string { return call.places[name].target }

// Number is a parameter of type NUMBER.
func (call *Call) Number(name string) float64 { return call.parameters[name].(float64) }

// words are the options of a command line by name, in the order in which they came.
func words(arguments []string, flags map[string]bool) (map[string][]string, error) {
	found := map[string][]string{}
	for at := 0; at < len(arguments); at++ {
		word := arguments[at]
		if !strings.HasPrefix(word, "--") {
			return nil, Usage("found %q, allowed options alone: --NAME VALUE", word)
		}
		text, value, joined := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		name := strings.ReplaceAll(text, "-", "_")
		switch {
		case flags[name] && joined:
			return nil, Usage("option --%s takes no value", text)
		case flags[name]:
			value = ""
		case !joined && at+1 == len(arguments):
			return nil, Usage("option --%s lacks its value", text)
		case !joined:
			at++
			value = arguments[at]
		}
		found[name] = append(found[name], value)
	}
	return found, nil
}

// prepare resolves and checks all that a call names.
func (call *Call) prepare(found map[string][]string) error {
	once := map[string]bool{"executor_input": true, "reuse": false}
	for _, one := range call.verb.Inputs {
		once[one.Name] = !one.Many
	}
	for _, one := range call.verb.Outputs {
		once[one.Name] = true
	}
	for _, one := range call.verb.Parameters {
		once[one.Name] = true
	}
	for name, values := range found {
		single, known := once[name]
		if !known {
			return Usage("no such option: %s", option(name))
		}
		if single && len(values) > 1 {
			return Usage("option %s: found %d times, allowed once", option(name), len(values))
		}
	}
	_, call.reuse = found["reuse"]
	var err error
	if text := found["executor_input"]; text != nil {
		if call.given, err = readExecutorInput(text[0]); err != nil {
			return err
		}
	}
	if file := call.given.Outputs.OutputFile; file != "" {
		// A stale "done" of an earlier attempt must not outlive the start of this one.
		os.Remove(file)
	}
	for _, one := range call.verb.Parameters {
		call.parameters[one.Name] = one.Default
		if values := found[one.Name]; values != nil {
			if call.parameters[one.Name], err = one.Read(values[0]); err != nil {
				return Usage("option %s: %s", option(one.Name), err)
			}
		}
	}
	for _, one := range call.verb.Inputs {
		if err := call.resolve(one, found[one.Name]); err != nil {
			return err
		}
	}
	for _, one := range call.verb.Outputs {
		if err := call.place(one, found[one.Name]); err != nil {
			return err
		}
	}
	return nil
}

// resolve finds the artifacts of an input and holds them to the pipeline's record.
func (call *Call) resolve(input Input, paths []string) error {
	recorded, named := map[string]string{}, len(paths) > 0
	for _, one := range call.given.Inputs.Artifacts[input.Name].Artifacts {
		path := localPath(one.URI)
		recorded[path], _ = one.Metadata["sha256"].(string)
		if !named {
			paths = append(paths, path)
		}
	}
	call.inputs[input.Name] = paths
	call.hashes[input.Name] = []string{}
	if len(paths) == 0 && !input.Optional {
		return Usage("missing option %s", option(input.Name))
	}
	for _, path := range paths {
		if _, err := os.Stat(path); os.IsNotExist(err) {
			return missing(input.Name, path)
		}
		sha256, err := Sha256Of(path)
		if err != nil {
			return Unreadable(path, "file or folder", reason(err))
		}
		if known := recorded[path]; known != "" && known != sha256 {
			return altered(path, sha256, known)
		}
		call.hashes[input.Name] = append(call.hashes[input.Name], sha256)
	}
	return nil
}

func (call *Call) place(output Output, paths []string) error {
	uri := call.given.output(output.Name)
	target := localPath(uri)
	if len(paths) > 0 {
		target = paths[0]
	}
	if target == "" && output.Optional {
		return nil
	}
	if target == "" {
		return Usage("missing option %s", option(output.Name))
	}
	target, err := filepath.Abs(target)
	if err != nil {
		return CannotWrite(target, err)
	}
	if uri == "" {
		uri = target
	}
	hidden, err := stage(target)
	call.places[output.Name] = place{hidden, target, uri}
	return err
}

// finish puts every output in its place, and records what they follow from.
func (call *Call) finish(result Result) (told, error) {
	report := told{map[string]map[string]any{}, result.Facts}
	hashes := map[string]string{}
	for _, output := range call.verb.Outputs {
		at, wanted := call.places[output.Name]
		if !wanted {
			continue
		}
		if output.Lineage {
			if err := os.WriteFile(at.hidden, []byte(origin(call, hashes)), 0o666); err != nil {
				return report, CannotWrite(at.target, err)
			}
		}
		sha256, err := Sha256Of(at.hidden)
		if err != nil {
			return report, CannotWrite(at.target, err)
		}
		about, err := os.Stat(at.hidden)
		if err != nil {
			return report, CannotWrite(at.target, err)
		}
		if !output.Lineage {
			hashes[output.Name] = sha256
		}
		known := map[string]any{"sha256": sha256, "bytes": about.Size()}
		for name, value := range result.Metadata[output.Name] {
			known[name] = value
		}
		report.Metadata[output.Name] = known
	}
	for _, output := range call.verb.Outputs {
		if at, wanted := call.places[output.Name]; wanted {
			if err := commit(at.hidden, at.target); err != nil {
				return report, err
			}
		}
	}
	return report, call.remember(report)
}

func hashText(text string) string {
	digest := sha256.Sum256([]byte(text))
	return hex.EncodeToString(digest[:])
}
