package env

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

// Upload sends CSV rows as the FATE client does. meta is the JSON that describes the columns.
func (c *Client) Upload(namespace, name, meta string, rows io.Reader) wire.Envelope {
	c.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for key, v := range map[string]string{"namespace": namespace, "name": name, "meta": meta, "head": "True", "partitions": "4"} {
		require.NoError(c, form.WriteField(key, v))
	}
	part, err := form.CreateFormFile("file", "rows.csv")
	require.NoError(c, err)
	_, err = io.Copy(part, rows)
	require.NoError(c, err)
	require.NoError(c, form.Close())
	r := c.request(http.MethodPost, "/v2/data/component/upload/file", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	return c.Call(r)
}

// Run names a task of a job at a party, as the output routes want it.
func Run(id openflow.JobID, role, party, task string) []string {
	return []string{"job_id", string(id), "role", role, "party_id", party, "task_name", task}
}

// Archive downloads a tar.gz and returns its members.
func (c *Client) Archive(path string, query ...string) map[string][]byte {
	c.Helper()
	resp, body := c.Do(c.request(http.MethodGet, path+"?"+values(query), nil))
	require.Equalf(c, "application/gzip", resp.Header.Get("Content-Type"), "%s", body)
	zip, err := gzip.NewReader(bytes.NewReader(body))
	require.NoError(c, err)
	members := map[string][]byte{}
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return members
		}
		require.NoError(c, err)
		members[h.Name], err = io.ReadAll(in)
		require.NoError(c, err)
	}
}

// Metrics lists the metrics of a task by name. Of several with one name the last counts.
func (c *Client) Metrics(run []string) map[string]json.RawMessage {
	c.Helper()
	var list []wire.Metric
	c.OK(c.Get("/v2/output/metric/query", run...), &list)
	out := map[string]json.RawMessage{}
	for _, m := range list {
		out[m.Name] = m.Data
	}
	return out
}

// TaskLog is what a task's program has written.
func (c *Client) TaskLog(run []string) string {
	c.Helper()
	_, body := c.Do(c.request(http.MethodGet, "/openflow/v1/user/job/task/log?"+values(run), nil))
	return string(body)
}
