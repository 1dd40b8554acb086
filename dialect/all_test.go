package dialect_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
)

// spoken is a dialect of containers only.
type spoken struct{ dialect.Plain }

func (spoken) Name() openflow.Dialect { return "spoken" }

func (spoken) Container() dialect.Container {
	return func(r openflow.TaskRecord, _ openflow.TaskSupply, _ openflow.Place) ([]string, error) {
		return []string{"SPOKEN=" + string(r.Key.Task)}, nil
	}
}

var all = dialect.All{native.Dialect{}, fateflow.Dialect{}, spoken{}}

// What is said of a program is completed by the first dialect that containers speak, and refused where they speak none of
// that name, or where only nodes do.
func TestDialectsOfContainers(t *testing.T) {
	for said, want := range map[openflow.Dialect]openflow.Dialect{"": fateflow.Name, fateflow.Name: fateflow.Name, "spoken": "spoken"} {
		got, err := all.Spoken(said)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, said := range []openflow.Dialect{native.Name, "latin"} {
		_, err := all.Spoken(said)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		require.ErrorContains(t, err, "one of fate-flow, spoken")
		_, err = all.Told(said, openflow.TaskRecord{}, openflow.TaskSupply{}, openflow.Place{})
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	}
	told, err := all.Told("spoken", openflow.TaskRecord{Key: openflow.TaskKey{Task: "a"}}, openflow.TaskSupply{}, openflow.Place{})
	require.NoError(t, err)
	require.Equal(t, []string{"SPOKEN=a"}, told)
	_, err = dialect.All{native.Dialect{}}.Spoken("")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "nothing can be told to containers")
}

// A plain dialect is not spoken between nodes, and serves nobody.
func TestPlain(t *testing.T) {
	_, err := all.Of("spoken")
	require.ErrorContains(t, err, "one of native, fate-flow")
	_, err = all.Complete(openflow.SiteRecord{Dialect: "spoken"})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	alone := dialect.All{spoken{}}
	require.Empty(t, alone.Interconnection(dialect.Node{}))
	require.Empty(t, alone.Application(nil))
	require.Empty(t, alone.Base(nil))
	require.Nil(t, spoken{}.Documents())
}
