package base_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/server/base"
	"openflow/site/folders"
)

const pathFile = "/openflow/v1/container/data/file"

// files gives the node folders with a file, and a job of that initiator with an upload and a download.
func (n *node) files(t *testing.T, id openflow.JobID, initiator openflow.PartyID) (uploads, downloads openflow.TaskKey) {
	t.Helper()
	in, out := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(in, "a.csv"), []byte("id\n1\n"), 0o600))
	n.site.Files = base.Files{Uploads: folders.Folders{Home: in, Flag: "--upload-folder"}, Downloads: folders.Folders{Home: out, Flag: "--download-folder"}}
	d := &openflow.DAG{SchemaVersion: "2.2.0", Parties: []openflow.Party{guest}, Tasks: []openflow.Task{
		{Name: "upload_0", Component: "upload", Parameters: openflow.Parameters{"file": "a.csv", "namespace": "ns", "name": "made"}},
		{Name: "download_0", Component: "download", Parameters: openflow.Parameters{"namespace": "ns", "name": "breast", "path": "today"}},
	}}
	n.initiator = initiator
	n.create("9999", id, guest, d)
	return key(id, "upload_0", guest), key(id, "download_0", guest)
}

// A container reads the one file that its parameters name, and writes what a download writes. Its requests name no path.
func TestFilesOfTasks(t *testing.T) {
	n := newNode(t)
	uploads, downloads := n.files(t, "3", "9999")
	w := n.as(uploads, request{method: http.MethodGet, path: pathFile + "?path=/etc/passwd&name=b.csv"})
	require.Equal(t, "id\n1\n", w.Body.String())
	for _, name := range []string{"0.csv", "0.meta"} {
		require.NoError(t, n.envelope(downloads, request{method: http.MethodPut, path: pathFile + "?name=" + name, body: name}).Err())
		written, err := os.ReadFile(filepath.Join(n.site.Files.Downloads.Home, "today", "data", name))
		require.NoError(t, err)
		require.Equal(t, name, string(written))
	}
	for why, c := range map[string]struct {
		as   openflow.TaskKey
		r    request
		says string
	}{
		"a download reads":       {downloads, request{method: http.MethodGet, path: pathFile}, "it is no upload"},
		"an upload writes":       {uploads, request{method: http.MethodPut, path: pathFile + "?name=0.csv"}, "it is no download"},
		"psi reads":              {key("1", "psi_0", guest), request{method: http.MethodGet, path: pathFile}, "it is no upload"},
		"another name":           {downloads, request{method: http.MethodPut, path: pathFile + "?name=../x"}, "a download writes 0.csv and 0.meta"},
		"a name that is nothing": {downloads, request{method: http.MethodPut, path: pathFile}, "a download writes 0.csv and 0.meta"},
	} {
		require.Contains(t, n.as(c.as, c.r).Body.String(), c.says, why)
	}
	theirs, written := n.files(t, "4", "8888")
	require.Contains(t, n.as(theirs, request{method: http.MethodGet, path: pathFile}).Body.String(), "only those of this site's own users")
	require.Contains(t, n.as(written, request{method: http.MethodPut, path: pathFile + "?name=0.csv", body: "x"}).Body.String(), "only those of this site's own users")
	left, err := os.ReadDir(n.site.Files.Downloads.Home)
	require.NoError(t, err)
	require.Empty(t, left)
}

// An output that the parameters of an upload name lasts, in jobs of the site's own users. What the container calls it does not count.
func TestAnOutputThatItsParametersName(t *testing.T) {
	n := newNode(t)
	save := func(k openflow.TaskKey) string {
		return n.as(k, post("/v2/worker/data/tracking/save", object{
			"execution_id": k.RunID(), "uri": n.put(k, "id\n1\n"), "output_key": "table", "data_type": "table", "meta_data": object{}, "namespace": "ns", "name": "secret",
		})).Body.String()
	}
	mine, _ := n.files(t, "3", "9999")
	require.Contains(t, save(mine), "success")
	made, err := n.catalogue.Table(t.Context(), openflow.TableName{Namespace: "ns", Name: "made"})
	require.NoError(t, err)
	require.Equal(t, openflow.TypeRaw, made.DataType)
	require.False(t, made.Intermediate)
	require.Empty(t, made.Source, "it is data from outside, also when its job is forgotten")

	theirs, _ := n.files(t, "4", "8888")
	require.Contains(t, save(theirs), "only those of this site's own users")
	after, err := n.catalogue.Table(t.Context(), made.Name)
	require.NoError(t, err)
	require.Equal(t, made.UpdateTime, after.UpdateTime)
}
