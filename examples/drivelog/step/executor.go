package step

import (
	"encoding/json"
	"os"
	"strings"
)

// Where the cluster's launcher keeps local copies of remote artifacts (kubeflow/pipelines, launcher_v2.go).
var localRoots = map[string]string{"s3://": "/s3/", "minio://": "/minio/", "gs://": "/gcs/", "file://": ""}

type artifact struct {
	Name     string         `json:"name"`
	URI      string         `json:"uri"`
	Metadata map[string]any `json:"metadata"`
}

type artifacts struct {
	Artifacts []artifact `json:"artifacts"`
}

// executorInput is KFP's {{$}} (ExecutorInput of pipeline_spec.proto), as far as a step reads it.
type executorInput struct {
	Inputs struct {
		Artifacts map[string]artifacts `json:"artifacts"`
	} `json:"inputs"`
	Outputs struct {
		Artifacts  map[string]artifacts `json:"artifacts"`
		OutputFile string               `json:"outputFile"`
	} `json:"outputs"`
}

func readExecutorInput(text string) (executorInput, error) {
	var given executorInput
	if text == "" {
		return given, nil
	}
	if strings.HasPrefix(text, "@") {
		file := strings.TrimPrefix(text, "@")
		content, err := os.ReadFile(file)
		if err != nil {
			return given, Usage("--executor-input @%s: cannot be read: %s", file, err)
		}
		text = string(content)
	}
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		return given, Usage("--executor-input is not the JSON of KFP's executor input: %s", err)
	}
	return given, nil
}

// output is the uri of an output, empty if the pipeline names none.
func (given executorInput) output(name string) string {
	if listed := given.Outputs.Artifacts[name].Artifacts; len(listed) > 0 {
		return listed[0].URI
	}
	return ""
}

func localPath(uri string) string {
	for scheme, root := range localRoots {
		if strings.HasPrefix(uri, scheme) {
			return root + strings.TrimPrefix(uri, scheme)
		}
	}
	return uri
}

// writeExecutorOutput says that the task is done: it comes last.
func writeExecutorOutput(file string, made map[string]artifact) error {
	listed := map[string]artifacts{}
	for name, one := range made {
		listed[name] = artifacts{[]artifact{one}}
	}
	return writeText(file, asJSON(map[string]any{"artifacts": listed, "parameterValues": map[string]any{}})+"\n")
}
