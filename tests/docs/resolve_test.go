package docs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the checks refuse, and what they take: without these cases a check that finds nothing would look like one that is content.
func TestWhatDoesNotResolveIsFound(t *testing.T) {
	r := load(t)
	specs, err := r.specifications()
	require.NoError(t, err)
	finds(t, func(text string) []string { return specs.check(text, "") }, []found{
		{"Spec: fate-flow-api §4.6.2.", ""},
		{"Spec: fate-flow-api §4.6.9.", "fate-flow-api has no section 4.6.9"},
		{"Spec: fate-flow-api §2.2–2.3", ""},
		{"Spec: fate-flow-api §2.2–2.33", "fate-flow-api has no section 2.33"},
		{"Spec: fate-flow-api §1.2 #6.", ""},
		{"Spec: fate-flow-api §1.2 #8.", "section 1.2 of fate-flow-api has no #8"},
		{"Spec: fate-components §6.1, fate-flow-api §1.13", ""},
		{"Spec: fate-components §6.1, §1.13", "fate-components has no section 1.13"},
		{"part 7 #44, #45", ""},
		{"part 7 #44, #450", "section 7 of fate-flow-api has no #450"},
		{"Spec: design §3, fate-flow-api §2.4.", `docs/spec has no text "design"`},
		{"against §4.6.2", `"against §4.6.2" names no text of docs/spec`},
		{"Against §1.7 it quotes.\n\nSpec: fate-components §1.7.", ""},
		{"docs/divergences.md §2.3", ""},
		{"docs/divergences.md §9.9", "docs/divergences.md has no section 9.9"},
		{"RFC 9380 §5.3.1", ""},
	})
	finds(t, func(text string) []string { return r.checkPaths("tests/docs", text) }, []found{
		{"as tests/docs/resolve_test.go has it", ""},
		{"as tests/docs/revolve_test.go has it", "tests/docs/revolve_test.go does not exist"},
		{"in resolve_test.go", ""},
		{"in revolve_test.go", "revolve_test.go is not in this folder"},
		{"read and/or write /etc/docker/daemon.json", ""},
	})
	finds(t, func(text string) []string { return r.checkCode("", text) }, []found{
		{"`tests/docs`, `openflow.Errorf(…)`, `HOME/objects`, `/v2/job/stop`, `partner/job/create`", ""},
		{"`tests/docks`", "tests/docks does not exist"},
		{"`StartTask`, `OfJob`, `StartChair`", "nothing is called StartChair"},
		{"`openflow.Errorv`", "openflow declares no Errorv"},
		{"`openflow.Job.Weather`", "openflow declares no Job.Weather"},
		{"`filippo.io/nistec`, `filippo.io/nothing`", "filippo.io/nothing does not exist"},
	})
	finds(t, func(text string) []string { return r.checkCommands(text) }, []found{
		{"openflow job rerun ID --node URL # again, with --whatever", ""},
		{"bin/openflow job rerum ID", `"/openflow job rerum": there is no command rerum`},
		{"openflow server --keep-jobs 1h --keep-cats 2h", "there is no flag --keep-cats"},
		{"docker network ls --filter label=a", ""},
	})
	finds(t, r.checkRoutes, []found{
		{"POST /v2/job/submit, `/openflow/v1/user/table/{list,uses}`, below /openflow/v1", ""},
		{"POST /v2/job/submits", "there is no route /v2/job/submits"},
		{"`/openflow/v1/user/table/{list,chairs}`", "there is no route /openflow/v1/user/table/chairs"},
		{"github.com/google/go-containerregistry/v2/nothing", ""},
	})
	require.Empty(t, r.checkTests("[`docs.TestCitationsResolve`], TestPackageTable"))
	require.Equal(t, []string{"no test plan.TestCitationsResolve", "no test TestOfNothing"},
		r.checkTests("[`plan.TestCitationsResolve`], TestOfNothing")[:2])
	require.Empty(t, r.checkHeadings(`docs/data.md, "Names of tables"`))
	require.Len(t, r.checkHeadings(`docs/data.md, "Names of chairs"; "Nothing" in docs/data.md`), 2)
	require.Len(t, r.checkLinks(page{file: "docs/data.md"}, "[a](jobs.md#train) [b](gobs.md) [c](https://example.org/x)"), 1)
	wrong := "date" // beside the text, which is checked too
	require.Len(t, r.checkPages("docs/data.md and docs/"+wrong+".md"), 1)
	require.Len(t, r.checkDocLinks("tests/docs", "[TestCitationsResolve] [TestWeather] [openflow.Errorf]"), 1)
	require.Len(t, specs.checkRow("| 1.1 #4, 2.5.99, FC §3.1 | a | b | c |", "fate-flow-api"), 1)
}

// found is a text and what a check says of it, empty for nothing.
type found struct{ text, wrong string }

func finds(t *testing.T, check func(text string) []string, cases []found) {
	t.Helper()
	for _, c := range cases {
		require.Equal(t, c.wrong, strings.Join(check(c.text), "; "), c.text)
	}
}
