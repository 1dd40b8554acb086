package registry

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/tables"
)

// program is a components binary of a shell script.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "components")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700))
	return path
}

const twoComponents = `case "$1" in
list) echo '{"buildin":["psi","noop"],"thirdparty":[]}' ;;
desc) echo '{"component":{"roles":["guest","host"],"parameters":{"protocol":{"optional":true,"type_meta":{"type":"string","enum":["ecdh"]}}},
"input_artifacts":{"data":{"in":{"stages":["default"],"roles":["guest"],"labelled":["guest"]}}},
"output_artifacts":{"metric":{"metric":{"stages":["default"]}}}}}' ;;
esac`

func TestComponentsAreWhatTheBinarySays(t *testing.T) {
	c, err := Read(t.Context(), program(t, twoComponents), "9999", "1", "docker")
	require.NoError(t, err)
	provider, err := c.Component(openflow.TaskSpec{Component: "psi", Stage: openflow.StageDefault}, openflow.RoleGuest)
	require.NoError(t, err)
	require.Equal(t, "openflow:1@docker", provider)

	for name, tc := range map[string]struct {
		spec openflow.TaskSpec
		says string
	}{
		"unknown":          {openflow.TaskSpec{Component: "x"}, `no component "x" at this site (it has: noop, psi)`},
		"another provider": {openflow.TaskSpec{Component: "psi", Conf: openflow.TaskConf{Provider: "acme:1@k8s"}}, "no provider"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Component(tc.spec, openflow.RoleGuest)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.ErrorContains(t, err, tc.says)
		})
	}
}

// A job is checked with what the binary says of its components, and with the schemas of this site's tables.
func TestJobsAreCheckedWithDescriptionsAndTables(t *testing.T) {
	c, err := Read(t.Context(), program(t, twoComponents), "9999", "1", "docker")
	require.NoError(t, err)
	guest, name := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.TableName{Namespace: "bank", Name: "people"}
	d := &openflow.DAG{SchemaVersion: "1", Parties: []openflow.Party{guest}, Tasks: []openflow.Task{{
		Name: "psi_0", Component: "psi", Parameters: openflow.Parameters{"protocol": "rsa", "protocl": 1},
		Inputs: []openflow.Input{{Kind: openflow.InputData, Key: "in", Channels: []openflow.Channel{
			{Source: openflow.FromDataWarehouse, Namespace: name.Namespace, Name: name.Name},
		}}},
	}}}
	schema := tables.Schema{SampleID: "sid", MatchID: "id", Features: []tables.Column{{Name: "x0", DType: tables.Float64}}}
	for text, tc := range map[string]struct {
		meta     func() []byte
		mistakes int
	}{
		"a table without a label": {func() []byte { meta, err := schema.DataMeta(); require.NoError(t, err); return meta }, 2},
		"a table of another kind": {func() []byte { return []byte(`{}`) }, 1},
		"a table with a label": {func() []byte {
			labelled := schema.Clone()
			labelled.Label = &tables.Column{Name: "y", DType: tables.Int32}
			meta, err := labelled.DataMeta()
			require.NoError(t, err)
			return meta
		}, 1},
	} {
		t.Run(text, func(t *testing.T) {
			known := map[openflow.TableName]openflow.TableRecord{name: {Name: name, Meta: tc.meta()}}
			mistakes, warnings := c.Check(d, d.Parties, known)
			require.Len(t, mistakes, tc.mistakes, "%v", mistakes)
			require.Len(t, warnings, 1)
		})
	}
}

func TestBinaryThatIsNoneIsRefused(t *testing.T) {
	for name, script := range map[string]string{
		"fails":        "exit 3",
		"says nothing": "true",
		"no documents": `case "$1" in list) echo '{"buildin":["a"]}' ;; desc) echo no ;; esac`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(t.Context(), program(t, script), "9999", "1", "local")
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.ErrorContains(t, err, "make build")
		})
	}
}
