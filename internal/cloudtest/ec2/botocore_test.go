package ec2

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// apiModel is AWS's own model of a service, as botocore contains it.
type apiModel struct {
	Metadata   struct{ Protocol string }
	Operations map[string]operation
	Shapes     map[string]*shape
}

type operation struct {
	Input, Output *shapeRef
	Errors        []shapeRef
}

type shapeRef struct {
	Shape         string
	LocationName  string
	QueryName     string
	ResultWrapper string
}

type shape struct {
	Type      string
	Required  []string
	Members   map[string]shapeRef
	Member    *shapeRef
	Enum      []string
	Flattened bool
	Error     struct{ Code string }
}

// folders are those of the services in botocore's data.
func folders() map[string]string {
	return map[string]string{
		serviceAutoScaling: "autoscaling/2011-01-01", serviceEC2: "ec2/2016-11-15", serviceConnect: "ec2-instance-connect/2018-04-02",
		serviceIAM: "iam/2010-05-08", serviceSTS: "sts/2011-06-15",
	}
}

// loaded are the models, which are read once.
var loaded = sync.OnceValue(func() map[string]*apiModel {
	folder := botocoreData()
	if folder == "" {
		return nil
	}
	models := map[string]*apiModel{}
	for service, dir := range folders() {
		text, err := os.ReadFile(filepath.Join(folder, dir, "service-2.json"))
		if err != nil {
			return nil
		}
		m := &apiModel{}
		if json.Unmarshal(text, m) != nil {
			return nil
		}
		models[service] = m
	}
	return models
})

// botocoreData returns the folder of botocore's models, or "".
func botocoreData() string {
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		out, err := exec.Command(python, "-c", "import botocore, os; print(os.path.dirname(botocore.__file__))").Output()
		if err == nil {
			return filepath.Join(strings.TrimSpace(string(out)), "data")
		}
	}
	return ""
}

// models returns AWS's models. Without them the test is skipped.
func models(t *testing.T) map[string]*apiModel {
	t.Helper()
	m := loaded()
	if m == nil {
		t.Skip("botocore, which has AWS's own models of its APIs, is not installed here; install it with: apt-get install python3-botocore")
	}
	return m
}

// wire is the name that a member of a structure has in answers.
func (r shapeRef) wire(name string) string {
	if r.LocationName != "" {
		return r.LocationName
	}
	return name
}

// param is the name that a member of a structure has in requests.
func (r shapeRef) param(protocol, name string) string {
	switch {
	case protocol != "ec2":
		return r.wire(name)
	case r.QueryName != "":
		return r.QueryName
	}
	n := r.wire(name)
	return strings.ToUpper(n[:1]) + n[1:]
}
