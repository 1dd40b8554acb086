package node

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"openflow"
)

// components is what this node can run: the algorithms of its image, as they describe themselves.
type components struct {
	described map[string]description
	version   string
	device    string
}

// description is the part of a component's document that jobs are checked against.
//
// Spec: fate-components §1.1.
type description struct {
	Roles      []openflow.Role            `json:"roles"`
	Parameters map[string]json.RawMessage `json:"parameters"`
	Outputs    struct {
		Metric map[string]struct {
			Stages []openflow.Stage `json:"stages"`
		} `json:"metric"`
	} `json:"output_artifacts"`
}

// stages is where a component runs at all: its metrics are active wherever it is.
func (d description) stages() []openflow.Stage { return d.Outputs.Metric["metric"].Stages }

// readComponents asks the binary itself what it has.
func readComponents(ctx context.Context, binary, version, device string) (components, error) {
	c := components{described: map[string]description{}, version: version, device: device}
	var list struct { // FATE's form of `component list` (fate-flow-api §3.3.1)
		Own     []string `json:"buildin"`
		Foreign []string `json:"thirdparty"`
	}
	if err := ask(ctx, &list, binary, "list"); err != nil {
		return c, err
	}
	names := append(list.Own, list.Foreign...)
	read := make([]description, len(names))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		group.Go(func() error {
			var doc struct {
				Component description `json:"component"`
			}
			err := ask(ctx, &doc, binary, "desc", "--name", name)
			read[i] = doc.Component
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return c, err
	}
	for i, name := range names {
		c.described[name] = read[i]
	}
	return c, nil
}

func ask(ctx context.Context, into any, binary string, args ...string) error {
	out, err := exec.CommandContext(ctx, binary, args...).Output()
	if err == nil {
		err = json.Unmarshal(out, into)
	}
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "%s does not describe its components: %w", binary, err).
			WithHint("build it with make build")
	}
	return nil
}

// providerName is the provider of the built-in algorithms.
const providerName = "openflow"

// Component implements partner.Components. A provider that the job names must be ours; FATE's own name is taken for
// ours too, because unmodified pipelines carry it.
func (c components) Component(spec openflow.TaskSpec, role openflow.Role) (string, error) {
	d, ok := c.described[spec.Component]
	if !ok {
		return "", openflow.Errorf(openflow.CodeInvalid, "no component %q at this site", spec.Component).
			WithHint("it has: %s", strings.Join(slices.Sorted(maps.Keys(c.described)), ", "))
	}
	if !slices.Contains(d.Roles, role) {
		return "", openflow.Errorf(openflow.CodeInvalid, "task %q: component %q has no part for a party in the role %s", spec.Name, spec.Component, role).
			WithHint("leave %s out of the task's parties", role)
	}
	if !slices.Contains(d.stages(), spec.Stage) {
		return "", openflow.Errorf(openflow.CodeInvalid, "task %q: component %q does not run in stage %q", spec.Name, spec.Component, spec.Stage).
			WithHint("its stages are %v; set the task's stage", d.stages())
	}
	given, _, _ := strings.Cut(spec.Conf.Provider, ":")
	if given != "" && given != providerName && given != "fate" && given != "*" {
		return "", openflow.Errorf(openflow.CodeInvalid, "no provider %q at this site", spec.Conf.Provider).WithHint("leave conf.task.provider out")
	}
	return fmt.Sprintf("%s:%s@%s", providerName, c.version, c.device), nil
}

// Unknown implements initiator.Components: which of these parameters the component does not have. One that this site
// does not have may have any.
func (c components) Unknown(component string, p openflow.Parameters) []string {
	d, ok := c.described[component]
	if !ok {
		return nil
	}
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if _, ok := d.Parameters[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	return unknown
}
