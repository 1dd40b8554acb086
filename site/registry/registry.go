// Package registry knows which components a site has, as their programs describe themselves, and which of them a task means.
package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/sdk/tables"
	"openflow/site/jobcheck"
)

// Components is what a site can run: the algorithms of its image, as they describe themselves.
type Components struct {
	self      openflow.PartyID
	described map[string]jobcheck.Component
	version   string
	device    string
}

// Read asks the binary itself what it has. device is how it runs: local or docker.
func Read(ctx context.Context, binary string, self openflow.PartyID, version, device string) (Components, error) {
	c := Components{self: self, described: map[string]jobcheck.Component{}, version: version, device: device}
	var list struct { // FATE's form of `component list` (fate-flow-api §3.3.1)
		Own     []string `json:"buildin"`
		Foreign []string `json:"thirdparty"`
	}
	if err := ask(ctx, &list, binary, "list"); err != nil {
		return c, err
	}
	names := append(list.Own, list.Foreign...)
	read := make([]jobcheck.Component, len(names))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		group.Go(func() error {
			var doc struct {
				Component jobcheck.Component `json:"component"`
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

// Program is the path of the binary, which must be there before a job needs it.
func Program(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(abs); err == nil && (info.IsDir() || info.Mode()&0o111 == 0) {
			err = errors.New("not an executable file")
		}
	}
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "the components binary %q cannot be used: %w", path, err).
			WithHint("build it with make build, or name it with --components")
	}
	return abs, nil
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

// providers are the names that a job may call ours by.
var providers = []string{providerName, "fate", "*"}

// Names lists the components.
func (c Components) Names() []string { return slices.Sorted(maps.Keys(c.described)) }

// Component implements partner.Components. A provider that the job names must be ours; FATE's own name is taken for
// ours too, because unmodified pipelines carry it.
func (c Components) Component(spec openflow.TaskSpec, _ openflow.Role) (string, error) {
	if _, ok := c.described[spec.Component]; !ok {
		return "", openflow.Errorf(openflow.CodeInvalid, "no component %q at this site", spec.Component).
			WithHint("it has: %s", strings.Join(c.Names(), ", "))
	}
	given, _, _ := strings.Cut(spec.Conf.Provider, ":")
	if given != "" && !slices.Contains(providers, given) {
		return "", openflow.Errorf(openflow.CodeInvalid, "no provider %q at this site", spec.Conf.Provider).WithHint("leave conf.task.provider out")
	}
	return fmt.Sprintf("%s:%s@%s", providerName, c.version, c.device), nil
}

// Check implements partner.Components and initiator.Components.
func (c Components) Check(d *openflow.DAG, parties []openflow.Party, known map[openflow.TableName]openflow.TableRecord) ([]openflow.Mistake, []string) {
	site := jobcheck.Site{Self: c.self, Components: c.described, Providers: providers, Labels: func(n openflow.TableName) (string, func(string) bool, bool) {
		rec, ok := known[n]
		if !ok {
			return "", nil, false
		}
		schema, err := tables.ParseDataMeta(rec.Meta)
		if err != nil {
			return "", nil, false // its rows are none of a dataframe; whoever reads them will say so
		}
		label := ""
		if schema.Label != nil {
			label = schema.Label.Name
		}
		return label, func(column string) bool { return slices.Contains(schema.Names(), column) }, true
	}}
	return site.Check(d, parties)
}
