package launcher

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/wire"
)

// Where things are in the folder of a run.
const (
	inputsFolder  = "input"
	outputsFolder = "output"
	tablesFolder  = "data" // of the standalone engine
	configFile    = inputsFolder + "/task_parameters.yaml"
	typesFile     = outputsFolder + "/define.yaml"
	finalMetaFile = outputsFolder + "/task_result.yaml"
)

// What is read of a component's files, in bytes.
const (
	maxTypes     = 1 << 20
	maxFinalMeta = 64 << 20
)

// wrapper is one run of a component.
type wrapper struct {
	python  python
	told    told
	types   artifactTypes
	work    string
	root    *os.Root // the same folder: nothing of the component is read past it
	metrics *metrics
	log     io.Writer
	cores   string
}

// artifactTypes are the inputs and outputs that a component has in a role and stage.
//
// Spec: fate-flow-api §3.11.
type artifactTypes struct {
	Inputs  artifacts `yaml:"inputs"`
	Outputs artifacts `yaml:"outputs"`
}

type artifacts struct {
	Data   []artifact `yaml:"data"`
	Model  []artifact `yaml:"model"`
	Metric []artifact `yaml:"metric"`
}

type artifact struct {
	Name     string `yaml:"name"`
	IsMulti  bool   `yaml:"is_multi"`
	Optional bool   `yaml:"optional"`
	Types    []struct {
		Name component.ArtifactType `yaml:"type_name"`
	} `yaml:"types"`
}

// kind is the type that is used: the first that is declared.
func (a artifact) kind() component.ArtifactType {
	if len(a.Types) == 0 {
		return component.Dataframe
	}
	return a.Types[0].Name
}

func (a artifact) declared(i int) component.Artifact {
	return component.Artifact{Key: a.Name, Type: a.kind(), Optional: a.Optional, Multi: a.IsMulti}
}

// run runs the task that the environment describes, and tells its node how it has ended. The kit does that: to it, the task is one
// of a component whose inputs and outputs are those that the real one names.
func run(ctx context.Context, p python, env func(string) string, log io.Writer) int {
	w := &wrapper{python: p, log: log, cores: env("OPENFLOW_CORES")}
	if err := json.Unmarshal([]byte(env("CONFIG")), &w.told); err != nil {
		fmt.Fprintln(log, "environment variable CONFIG is not readable:", err)
		return component.ExitUsage
	}
	if w.told.Stage == "" {
		w.told.Stage = openflow.StageDefault
	}
	prepared := w.prepare(ctx)
	defer w.close()
	c := component.Component{Name: w.told.Component, Roles: []openflow.Role{w.told.Role}, Stages: []openflow.Stage{w.told.Stage}}
	if w.told.Protocol != nil {
		c.Protocols = []openflow.Protocol{*w.told.Protocol} // which one, its site has settled by its description
	}
	for _, a := range slices.Concat(w.types.Inputs.Data, w.types.Inputs.Model) {
		c.Inputs = append(c.Inputs, a.declared(0))
	}
	for _, a := range slices.Concat(w.types.Outputs.Data, w.types.Outputs.Model) {
		c.Outputs = append(c.Outputs, a.declared(0))
	}
	c.Run = func(ctx context.Context, t *component.Task) error {
		if prepared != nil {
			return prepared
		}
		return w.execute(ctx, t)
	}
	return component.Program{Provider: w.told.Provider, Components: []component.Component{c}}.RunTo(ctx, log, env)
}

// prepare makes the folder of the run, and asks the component what it reads and writes.
func (w *wrapper) prepare(ctx context.Context) error {
	var err error
	if w.work, err = os.MkdirTemp("", "fate-"); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "no temporary folder: %w", err).WithHint("give the container a writable temporary directory")
	}
	for _, folder := range []string{inputsFolder, outputsFolder, tablesFolder} {
		if err := os.Mkdir(filepath.Join(w.work, folder), 0o700); err != nil {
			return openflow.Errorf(openflow.CodeInternal, "the temporary folder: %w", err)
		}
	}
	if w.root, err = os.OpenRoot(w.work); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "the temporary folder: %w", err)
	}
	w.python.work = w.work
	w.python.extra = []string{"STANDALONE_DATA_PATH=" + filepath.Join(w.work, tablesFolder), "FATE_JOB_ID=" + w.told.JobID, "PROCESS_ROLE=worker"}
	err = w.python.components(ctx, "artifact-type", "--name", w.told.Component, "--role", string(w.told.Role), "--stage", string(w.told.Stage),
		"--output-path", filepath.Join(w.work, typesFile))
	if err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "component %q does not say what it reads and writes as %s in stage %s: %w",
			w.told.Component, w.told.Role, w.told.Stage, err)
	}
	raw, err := readFile(w.root, typesFile, maxTypes)
	if err == nil {
		w.types, err = readTypes(raw)
	}
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "component %q does not say what it reads and writes: %w", w.told.Component, err)
	}
	return nil
}

// maxArtifacts is how many inputs and outputs a component may have.
const maxArtifacts = 200

// readTypes reads what `component artifact-type` has written.
func readTypes(raw []byte) (artifactTypes, error) {
	var t artifactTypes
	err := wire.BoundedYAML(raw)
	if err == nil {
		err = yaml.Unmarshal(raw, &t)
	}
	if err != nil {
		return t, openflow.Errorf(openflow.CodeInvalid, "its list of artifacts is not readable: %w", err)
	}
	n := 0
	for _, list := range [][]artifact{t.Inputs.Data, t.Inputs.Model, t.Outputs.Data, t.Outputs.Model, t.Outputs.Metric} {
		seen := map[string]bool{}
		for _, a := range list {
			if err := openflow.CheckIdentifier("artifact", a.Name); err != nil || seen[a.Name] {
				return artifactTypes{}, openflow.Errorf(openflow.CodeInvalid, "it names an artifact %q, which is no name, or twice", openflow.Cut(a.Name, 80))
			}
			if seen[a.Name] = true; n == maxArtifacts {
				return artifactTypes{}, openflow.Errorf(openflow.CodeInvalid, "it has more than %d artifacts", maxArtifacts)
			}
			n++
		}
	}
	return t, nil
}

func (w *wrapper) close() {
	if w.metrics != nil {
		w.metrics.close()
	}
	if w.root != nil {
		_ = w.root.Close() // it was only read
	}
	if w.work != "" {
		_ = os.RemoveAll(w.work) // it is temporary, and goes with its container
	}
}

// execute gives the component its inputs, runs it, and takes in what it has written. A task succeeds only with all of that.
//
// Spec: fate-flow-api §3.3.1, §3.5–3.7.
func (w *wrapper) execute(ctx context.Context, t *component.Task) (err error) {
	c := taskConfig{
		JobID: w.told.JobID, TaskID: w.told.TaskID, PartyTaskID: w.told.PartyTaskID, TaskName: w.told.TaskName, Component: w.told.Component,
		Role: w.told.Role, PartyID: w.told.PartyID, Stage: w.told.Stage, Parameters: w.told.Parameters,
	}
	if c.Parameters == nil {
		c.Parameters = map[string]any{}
	}
	if c.Conf, err = confOf(w.told, filepath.Join(w.work, tablesFolder), w.cores); err != nil {
		return err
	}
	stop, err := w.federate(ctx, t, &c.Conf.Federation)
	if err != nil {
		return err
	}
	defer stop()
	if w.metrics, err = serveMetrics(ctx, w.told.PartyTaskID, t.Records, w.log); err != nil {
		return err
	}
	if c.InputArtifacts, err = w.inputs(ctx, t, c.Conf); err != nil {
		return err
	}
	c.OutputArtifacts = w.outputs()
	raw, err := json.MarshalIndent(c, "", "  ") // JSON is YAML
	if err == nil {
		err = os.WriteFile(filepath.Join(w.work, configFile), raw, 0o600)
	}
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "the configuration of the task: %w", err)
	}
	process := w.python.components(ctx, "execute", "--config", filepath.Join(w.work, configFile),
		"--execution-final-meta-path", filepath.Join(w.work, finalMetaFile))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	said, err := w.ended(process)
	if err != nil {
		return err
	}
	if err := w.take(ctx, t, c.Conf, said); err != nil {
		return err
	}
	return w.metrics.failed()
}

// causeFirst puts the last line of a traceback before it: that is the cause, and a reason shows one line.
func causeFirst(exceptions string) string {
	text := strings.TrimSpace(exceptions)
	if i := strings.LastIndexByte(text, '\n'); i >= 0 && strings.HasPrefix(text, "Traceback") {
		return text[i+1:] + "\n" + text
	}
	return text
}

// ended interprets how the component's process has ended, and what it has left.
//
// Spec: fate-flow-api §3.7.
func (w *wrapper) ended(process error) (finalMeta, error) {
	raw, err := readFile(w.root, finalMetaFile, maxFinalMeta)
	if os.IsNotExist(err) {
		err = openflow.Errorf(openflow.CodeRejected, "No found task output.")
		if process != nil {
			err = openflow.Errorf(openflow.CodeRejected, "No found task output: %w", process)
		}
		return finalMeta{}, err.(*openflow.Error).WithHint("the component has ended without its final meta; its log tells more") //nolint:errcheck,forcetypeassert // of the two lines above
	}
	var said finalMeta
	if err == nil {
		said, err = readFinalMeta(raw)
	}
	switch {
	case err != nil && process != nil:
		return said, process
	case err != nil:
		return said, openflow.Errorf(openflow.CodeInvalid, "the final meta of the component: %w", err)
	case said.Status.Exceptions != "" && (process != nil || said.Status.Code != 0):
		return said, openflow.Errorf(openflow.CodeRejected, "%s", causeFirst(said.Status.Exceptions))
	case process != nil:
		return said, process
	case said.Status.Code != 0:
		return said, openflow.Errorf(openflow.CodeRejected, "the component says that it failed, with code %d", said.Status.Code)
	}
	return said, nil
}
