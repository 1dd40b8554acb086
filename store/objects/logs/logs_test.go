package logs_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/store/objects"
	"openflow/store/objects/folder"
	"openflow/store/objects/logs"
)

func opened(t *testing.T) logs.Logs {
	t.Helper()
	store, err := folder.Open(t.TempDir())
	require.NoError(t, err)
	return logs.Logs{Objects: store, Runtime: fake.New(func(driver.Spec) fake.Plan { return fake.Plan{} })}
}

func TestLogsAreKept(t *testing.T) {
	l := opened(t)
	digest, err := l.PutLog(t.Context(), func(stdout, stderr io.Writer) error {
		_, err := io.WriteString(stdout, "out ")
		_, err2 := io.WriteString(stderr, "err")
		return errors.Join(err, err2)
	})
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, l.TaskLog(t.Context(), openflow.TaskRecord{LogDigest: digest, ContainerName: "removed"}, &text))
	require.Equal(t, "out err", text.String())
}

func TestNothingWrittenLeavesNoObject(t *testing.T) {
	l := opened(t)
	for _, want := range []error{nil, errors.New("the daemon is away")} {
		for _, written := range [][][]byte{nil, {nil, {}}} {
			digest, err := l.PutLog(t.Context(), func(stdout, _ io.Writer) error {
				for _, p := range written {
					if n, err := stdout.Write(p); n != 0 || err != nil {
						return fmt.Errorf("%d bytes: %w", n, err)
					}
				}
				return want
			})
			require.Equal(t, want, err)
			require.Empty(t, digest)
		}
	}
	require.NoError(t, l.Objects.List(t.Context(), func(i objects.Info) error { return errors.New("an object: " + i.Digest) }))
}

func TestLogOfARunWithoutOne(t *testing.T) {
	l := opened(t)
	var text strings.Builder
	require.NoError(t, l.TaskLog(t.Context(), openflow.TaskRecord{}, &text), "never started")
	require.NoError(t, l.TaskLog(t.Context(), openflow.TaskRecord{ContainerName: "removed"}, &text))
	require.Empty(t, text.String())
}
