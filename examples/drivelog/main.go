// Brakeline-drivelog turns a fleet's logs of stops, in whatever columns and units it keeps them, into recorded stops as
// docs/recorded.md has them. It is a step of the pipeline that shares no code with the others.
package main

import (
	"os"

	"brakeline.example/drivelog/step"
)

const version = "1.0.0"

func main() {
	app := step.App{
		Name:        "brakeline-drivelog",
		Version:     version,
		Description: "A fleet's logs of stops as recorded stops in SI units.",
		Verbs: []step.Verb{{
			Name:        "convert",
			Description: "Read logs by a form that says what their columns hold, and write them as one recording.",
			Inputs: []step.Input{
				{Name: "logs", Kind: "Dataset", Description: "CSV with a row for each stop", Many: true},
				{Name: "form", Kind: "Artifact", Description: "JSON that says what the columns hold"},
			},
			Outputs: []step.Output{
				{Name: "recorded", Kind: "Dataset", Description: "CSV of recorded stops, units declared"},
				{Name: "rejects", Kind: "Dataset", Description: "CSV of rows left out, a line for each reason"},
				{Name: "origin", Kind: "Artifact", Description: "Where the others come from", Optional: true, Lineage: true},
			},
			Parameters: []step.Parameter{
				step.Share("max_rejected_share", "Most of all rows that may be left out", 0.1),
			},
			Run: convert,
		}},
	}
	os.Exit(app.Main(os.Args[1:]))
}
