package fate_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/description"
	"openflow/description/fate"
	"openflow/tests/fuzzing"
)

func read(raw string) (openflow.ComponentRecord, error) {
	doc, err := description.Parse([]byte(raw))
	if err != nil {
		return openflow.ComponentRecord{}, err
	}
	return doc.Record(fate.Form{})
}

// with is a description with more members, in FATE's JSON.
func with(more string) string {
	return `{"component":{"name":"a","provider":"acme","version":"1.2.3","roles":["guest","host"]` + more + `},"schema_version":"v1"}`
}

// A description as FATE prints it: in YAML, with stages that the metric lacks, and names of types that nobody should read.
//
// Spec: fate-components §1.1.
func TestFATEsOwnDescription(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "hetero.yaml"))
	require.NoError(t, err)
	c, err := read(string(raw))
	require.NoError(t, err)
	require.Empty(t, c.Warnings)
	require.Equal(t, "fate", c.Form)
	require.Equal(t, "hetero_scale", c.Name)
	require.Equal(t, openflow.ProviderRef{Name: "fate", Version: "2.2.0"}, c.Provider)
	require.Equal(t, []openflow.Role{openflow.RoleGuest, openflow.RoleHost}, c.Roles)
	require.Equal(t, []openflow.Stage{openflow.StagePredict, openflow.StageTrain}, c.Stages)
	require.Equal(t, []openflow.Protocol{{Name: "fate/hetero_scale", Version: "2.2"}}, c.Protocols)
	require.False(t, c.Declared)
	require.Equal(t, openflow.WayTask, c.Way)

	require.Len(t, c.Parameters, 2)
	method, tol := c.Parameters[0], c.Parameters[1]
	require.Equal(t, "method", method.Name)
	require.False(t, method.Optional, "it has a default, and is mandatory all the same")
	require.Equal(t, "standard", method.Default)
	require.Equal(t, json.Number("0.0001"), tol.Default)
	require.JSONEq(t, `{"title":"float","type":"number","default":0.0001,"minimum":0,"description":""}`, string(tol.Schema))

	require.Len(t, c.Inputs, 3)
	require.Equal(t, openflow.ComponentArtifact{
		Kind: openflow.InputData, Key: "train_data", Types: []string{"dataframe", "data_directory"}, Stages: []openflow.Stage{openflow.StageTrain}, Roles: c.Roles,
	}, c.Inputs[1])
	require.Equal(t, openflow.InputModel, c.Inputs[2].Kind)
	metric := c.Outputs[len(c.Outputs)-1]
	require.Equal(t, openflow.OutputMetric, metric.Kind)
	require.Equal(t, c.Stages, metric.Stages, "it is active wherever the component is")
	require.Equal(t, c.Roles, metric.Roles)
	require.True(t, json.Valid(c.Description))
}

// What follows where a description says nothing; docs/descriptions.md has the rules.
func TestWhatIsMadeUpFor(t *testing.T) {
	stage := func(side string) string { return with(`,` + side) }
	for name, tc := range map[string]struct {
		raw      string
		stages   []openflow.Stage
		warnings []string
	}{
		"of its metric": {
			stage(`"output_artifacts":{"metric":{"metric":{"stages":["train"]}},"data":{"out":{"stages":["predict"]}}}`),
			[]openflow.Stage{"train"}, nil,
		},
		"of inputs and outputs": {
			stage(`"input_artifacts":{"data":{"in":{"stages":["train"]}}},"output_artifacts":{"metric":{"metric":{}},"data":{"out":{"stages":["train","predict"]}}}`),
			[]openflow.Stage{"predict", "train"}, nil,
		},
		"nothing is described": {stage(`"output_artifacts":{"data":{},"model":null,"metric":{}}`), []openflow.Stage{"default"}, nil},
		"a member of tomorrow": {stage(`"colour":"red","input_artifacts":{"sound":{"a":{}}}`), []openflow.Stage{"default"}, []string{"component.input_artifacts.sound is not known here", "component.colour is not known here"}},
		"another schema":       {strings.Replace(with(""), "v1", "v2", 1), []openflow.Stage{"default"}, []string{`schema_version is "v2"`}},
		"quoted truth":         {stage(`"parameters":{"p":{"optional":"True"}}`), []openflow.Stage{"default"}, nil},
		"no roles":             {strings.Replace(with(""), `"guest","host"`, "", 1), []openflow.Stage{"default"}, []string{"component.roles names none"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := read(tc.raw)
			require.NoError(t, err)
			require.Equal(t, tc.stages, c.Stages)
			require.Len(t, c.Warnings, len(tc.warnings), "%v", c.Warnings)
			for i, w := range tc.warnings {
				require.Contains(t, c.Warnings[i], w)
			}
		})
	}
}

func TestProtocols(t *testing.T) {
	for name, tc := range map[string]struct {
		raw      string
		want     []openflow.Protocol
		declared bool
	}{
		"none is named":      {with(""), []openflow.Protocol{{Name: "acme/a", Version: "1.2"}}, false},
		"null":               {with(`,"protocols":null`), []openflow.Protocol{{Name: "acme/a", Version: "1.2"}}, false},
		"it talks to nobody": {with(`,"protocols":[]`), nil, true},
		"two": {
			with(`,"protocols":[{"name":"open/psi","version":2},{"name":"open/psi","version":"1"}]`),
			[]openflow.Protocol{{Name: "open/psi", Version: "2"}, {Name: "open/psi", Version: "1"}}, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := read(tc.raw)
			require.NoError(t, err)
			require.Equal(t, tc.want, c.Protocols)
			require.Equal(t, tc.declared, c.Declared)
		})
	}
}

// A component gets no more than its operator has read: what is called otherwise is no wish, and what is not understood is refused.
//
// Spec: algorithm-image-signature §5.
func TestWishes(t *testing.T) {
	for name, tc := range map[string]struct {
		raw  string
		want openflow.Wishes
		warn string
	}{
		"none":   {with(""), openflow.Wishes{}, ""},
		"null":   {with(`,"wishes":null`), openflow.Wishes{}, ""},
		"nulls":  {with(`,"wishes":{"mounts":null,"cores":null}`), openflow.Wishes{}, ""},
		"mounts": {with(`,"wishes":{"mounts":["/models"],"processes":100}`), openflow.Wishes{Mounts: []string{"/models"}, Processes: 100}, ""},
		"all": {
			with(`,"wishes":{"capabilities":["IPC_LOCK"],"mounts":["/m"],"networks":["lake"],"environment":["A"],"cores":4,"memory":4294967296,"processes":256,"disk":1073741824}`),
			openflow.Wishes{
				Capabilities: []string{"IPC_LOCK"}, Mounts: []string{"/m"}, Networks: []string{"lake"}, Environment: []string{"A"}, Cores: 4, Memory: 4 << 30, Processes: 256, Disk: 1 << 30,
			}, "",
		},
		"in other letters":    {with(`,"Wishes":{"mounts":["/models"]}`), openflow.Wishes{}, "component.Wishes is not known here"},
		"of another document": {`{"COMPONENT":{"wishes":{"mounts":["/models"]}},` + with("")[1:], openflow.Wishes{}, "COMPONENT is not known here"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := read(tc.raw)
			require.NoError(t, err)
			require.Equal(t, tc.want, c.Wishes)
			if tc.warn == "" {
				require.Empty(t, c.Warnings)
				return
			}
			require.Contains(t, strings.Join(c.Warnings, "; "), tc.warn)
		})
	}
	for name, bad := range map[string]string{
		"a text":               `{"mounts":"/x"}`,
		"less than nothing":    `{"cores":-1}`,
		"more than there is":   `{"cores":1e9}`,
		"too many":             `{"mounts":[` + strings.Repeat(`"/x",`, 100) + `"/x"]}`,
		"too many in all":      `{"mounts":[` + strings.Repeat(`"/x",`, 60) + `"/x"],"networks":[` + strings.Repeat(`"x",`, 60) + `"x"]}`,
		"a number":             `3`,
		"a list":               `["/x"]`,
		"what there is not":    `{"devices":["/dev/mem"]}`,
		"in other letters":     `{"Mounts":["/x"]}`,
		"one that is empty":    `{"networks":[""]}`,
		"one that is too long": `{"environment":["` + strings.Repeat("A", 4097) + `"]}`,
		"no texts":             `{"capabilities":[1]}`,
	} {
		_, err := read(with(`,"wishes":` + bad))
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%s: %v", name, err)
	}
}

func TestWays(t *testing.T) {
	for name, tc := range map[string]struct {
		raw  string
		way  openflow.Way
		runs int
		warn string
	}{
		"nothing is said":  {with(""), openflow.WayTask, 0, ""},
		"a container each": {with(`,"way":"container per task"`), openflow.WayTask, 0, ""},
		"resident":         {with(`,"way":"resident"`), openflow.WayResident, 8, ""},
		"three at once":    {with(`,"way":"resident","resident":{"runs":3}`), openflow.WayResident, 3, ""},
		"as many as may":   {with(`,"way":"resident","resident":{"runs":64}`), openflow.WayResident, 64, ""},
		"an empty object":  {with(`,"way":"resident","resident":{}`), openflow.WayResident, 8, ""},
		"null":             {with(`,"way":"resident","resident":{"runs":null}`), openflow.WayResident, 8, ""},
		"of no resident":   {with(`,"resident":{"runs":3}`), openflow.WayTask, 0, "it is ignored"},
		"of tomorrow":      {with(`,"way":"resident","resident":{"colour":1}`), openflow.WayResident, 8, "component.resident.colour is not known here"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := read(tc.raw)
			require.NoError(t, err)
			require.Equal(t, tc.way, c.Way)
			require.Equal(t, tc.runs, c.Runs)
			if tc.warn == "" {
				require.Empty(t, c.Warnings)
				return
			}
			require.Len(t, c.Warnings, 1)
			require.Contains(t, c.Warnings[0], tc.warn)
		})
	}
}

func TestWrongDescriptionsAreRefused(t *testing.T) {
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	for name, tc := range map[string]struct{ raw, says string }{
		"no provider":               {`{"component":{"name":"a","version":"1"}}`, `provider "" in version "1"`},
		"a name as an option":       {`{"component":{"name":"--help","provider":"a","version":"1"}}`, "which none can be called"},
		"an unknown role":           {with(`,"needs":[{"role":"king","min":1}]`), "role that there is not"},
		"an unknown stage":          {with(`,"input_artifacts":{"data":{"in":{"stages":["tomorrow"]}}}`), `stage that there is not in component.input_artifacts.data.in.stages: "tomorrow"`},
		"an unknown type":           {with(`,"input_artifacts":{"data":{"in":{"types":["json_model"]}}}`), `type of data that there is not at "in": "json_model"`},
		"a parameter's name":        {with(`,"parameters":{"a b":{}}`), `parameter "a b", which none can be called`},
		"an artifact's name":        {with(`,"output_artifacts":{"data":{"../x":{}}}`), `artifact "../x" among its outputs`},
		"a key twice":               {with(`,"parameters":{"p":{},"p":{}}`), `key "p" is there twice`},
		"a key of two kinds":        {with(`,"input_artifacts":{"data":{"in":{}},"model":{"in":{}}}`), `artifact "in" twice among its inputs`},
		"a need of nothing":         {with(`,"needs":[{"role":"guest","min":1,"parameter":"p"}]`), `parameter that there is not: "p"`},
		"a need without bounds":     {with(`,"needs":[{"role":"guest","min":1e9}]`), "no whole number from 0 to 1000"},
		"like nothing":              {with(`,"output_artifacts":{"data":{"out":{"like":"in"}}}`), `like an input that there is not: "in"`},
		"no text":                   {with(`,"description":{}`), "no text in component.description"},
		"neither true nor false":    {with(`,"parameters":{"p":{"optional":"maybe"}}`), "neither true nor false in component.parameters.p.optional"},
		"parameters as a list":      {with(`,"parameters":[]`), "no object in component.parameters"},
		"a way that there is not":   {with(`,"way":"by foot"`), `a way that there is not: "by foot"`},
		"no runs at once":           {with(`,"way":"resident","resident":{"runs":0}`), "no whole number from 1 to 64 in component.resident.runs"},
		"65 runs at once":           {with(`,"way":"resident","resident":{"runs":65}`), "no whole number from 0 to 64 in component.resident.runs"},
		"some runs at once":         {with(`,"way":"resident","resident":{"runs":"some"}`), "component.resident.runs"},
		"resident as a number":      {with(`,"way":"resident","resident":8`), "no object in component.resident"},
		"nine protocols":            {with(`,"protocols":[` + many(9, `{"name":"p","version":"1"}`) + `]`), "9 protocols are named"},
		"a protocol twice":          {with(`,"protocols":[` + many(2, `{"name":"p","version":"1"}`) + `]`), "protocol p@1 is named twice"},
		"a protocol without a name": {with(`,"protocols":[{"version":"1"}]`), "cannot be a protocol"},
		"a number without end":      {with(`,"parameters":{"p":{"default":1e-999999999}}`), "nothing can calculate with"},
		"a long number":             {with(`,"parameters":{"p":{"default":` + strings.Repeat("9", 99) + `}}`), "nothing can calculate with"},
		"an alias that grows":       {"component: &a [x]\nb: [*a]\n", "not supported here"},
		"two documents":             {"component: {}\n---\ncomponent: {}\n", "exactly one YAML document"},
		"a list":                    {`[]`, "it is no object"},
		"another form":              {`{"name":"a"}`, "of no form that is known here (fate)"},
		"nothing":                   {"", "not readable"},
		"10 MB":                     {strings.Repeat(" ", 10<<20) + with(""), "more than 1048576 bytes"},
		"a megabyte of YAML":        {"component:\n" + strings.Repeat("  # no\n", 1<<16), "bytes of YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(tc.raw)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
			require.Less(t, len(err.Error()), 2<<10)
		})
	}
}

func FuzzRead(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("testdata", "hetero.yaml"))
	require.NoError(f, err)
	f.Add(raw)
	f.Add([]byte(with(`,"parameters":{"p":{"default":1,"optional":true,"type_meta":{"type":"integer"}}},"protocols":[{"name":"p","version":"1"}]`)))
	fuzzing.Within(f, func(t *testing.T, raw []byte) {
		c, err := read(string(raw))
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.NoError(t, openflow.CheckIdentifier("component", c.Name))
		require.NoError(t, openflow.CheckProvider(c.Provider.Name, c.Provider.Version))
		require.NotEmpty(t, c.Stages)
		require.NotEmpty(t, c.Roles)
		require.LessOrEqual(t, len(c.Parameters), description.MaxParameters)
		require.True(t, json.Valid(c.Description))
		again, err := read(string(c.Description))
		require.NoError(t, err, "what is kept says the same")
		require.Equal(t, c, again)
	})
}
