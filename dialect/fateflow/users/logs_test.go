package users_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

type line struct {
	Number  int    `json:"line_num"`
	Content string `json:"content"`
}

const written = `time=x level=DEBUG msg="a detail"
time=x level=INFO msg=begin
a line of 10.0.0.1 that belongs to it
[WARNING][2026-01-01] as FATE writes it
time=x level=ERROR msg="paper jam"
  at the printer
{"level":"INFO","msg":"end"}
`

// fate-flow-api §1.8: lines from 1, from a level on, from begin to end, as they were written.
func TestLogsOfTasks(t *testing.T) {
	d := newDesk(t)
	d.job("j1", openflow.TaskFailed, nil, "a", "b", "silent")
	d.logs["a"], d.logs["b"] = written, "the last line ends without a break"
	lines := strings.Split(strings.TrimSpace(written), "\n")
	for query, want := range map[string][]line{
		"task_debug&task_name=a":                 {{1, lines[0]}, {2, lines[1]}, {3, lines[2]}, {4, lines[3]}, {5, lines[4]}, {6, lines[5]}, {7, lines[6]}},
		"task_info&task_name=a":                  {{1, lines[1]}, {2, lines[2]}, {3, lines[3]}, {4, lines[4]}, {5, lines[5]}, {6, lines[6]}},
		"task_warning&task_name=a":               {{1, lines[3]}, {2, lines[4]}, {3, lines[5]}},
		"task_error&task_name=a":                 {{1, lines[4]}, {2, lines[5]}},
		"task_info&task_name=a&begin=2&end=3":    {{2, lines[2]}, {3, lines[3]}},
		"task_info&task_name=a&begin=5":          {{5, lines[5]}, {6, lines[6]}},
		"task_info&task_name=a&begin=3&end=2":    {},
		"task_info&task_name=a&begin=100":        {},
		"task_info&task_name=silent":             {},
		"task_info&begin=6":                      {{6, lines[6]}, {7, "the last line ends without a break"}},
		"task_error":                             {{1, lines[4]}, {2, lines[5]}},
		"task_error&instance_id=flow-9999&end=1": {{1, lines[4]}},
	} {
		t.Run(query, func(t *testing.T) {
			var got []line
			d.data(d.call("GET /v2/log/query?job_id=j1&role=guest&party_id=9999&log_type="+query, ""), &got)
			require.Equal(t, want, got)
			if !strings.Contains(query, "begin") && !strings.Contains(query, "end") {
				var n int
				d.data(d.call("GET /v2/log/count?job_id=j1&role=guest&party_id=9999&log_type="+query, ""), &n)
				require.Equal(t, len(want), n)
			}
		})
	}
	require.Equal(t, 2000, d.call("GET /v2/log/query?job_id=j1&role=host&party_id=9999&log_type=task_info", "").Code)
	for _, none := range []string{"job_id=none&role=guest&party_id=9999&log_type=task_info", "job_id=none&log_type=schedule_info"} {
		var n int
		d.data(d.call("GET /v2/log/count?"+none, ""), &n)
		require.Zero(t, n)
	}
}

// A program may write without end, in one line or in many: an answer has its bound, and says how it goes on.
func TestLogsWithoutEnd(t *testing.T) {
	d := newDesk(t)
	d.job("j1", openflow.TaskFailed, nil, "many", "long", "binary")
	d.logs["many"] = strings.Repeat("x\n", 30_000)
	d.logs["long"] = strings.Repeat("y", 3<<20) + "\nz\n"
	d.logs["binary"] = "\xff\xfe\x00\n"
	ask := func(query string) (got []line) {
		d.data(d.call("GET /v2/log/query?job_id=j1&role=guest&party_id=9999&log_type=task_info&task_name="+query, ""), &got)
		return got
	}
	got := ask("many")
	require.Len(t, got, 20_001)
	require.Contains(t, got[20_000].Content, "begin=20001")
	got = ask("many&begin=20001")
	require.Len(t, got, 9_999+1)
	require.Equal(t, line{30_000, "x"}, got[9_999])
	got = ask("long")
	require.Len(t, got, 2)
	require.LessOrEqual(t, len(got[0].Content), 64<<10)
	require.Equal(t, line{2, "z"}, got[1])
	require.Len(t, ask("binary"), 1)
}

// What the site has recorded of a job: in the order of time, with reasons; errors are the ends that nobody wanted.
func TestLogsOfTheSchedule(t *testing.T) {
	d := newDesk(t)
	d.job("j1", openflow.TaskFailed, nil, "a")
	var all, errs []line
	d.data(d.call("GET /v2/log/query?job_id=j1&role=guest&party_id=9999&log_type=schedule_info", ""), &all)
	d.data(d.call("GET /v2/log/query?job_id=j1&role=guest&party_id=9999&log_type=schedule_error", ""), &errs)
	var text strings.Builder
	for i, l := range all {
		require.Equal(t, i+1, l.Number)
		fmt.Fprintln(&text, l.Content)
	}
	for _, want := range []string{
		"job j1 as guest 9999: created, submitted at party 9999", "[INFO][2027-01-15 08:00:00,000] job j1 as guest 9999: started",
		"task a version 0 as guest 9999: started, component noop", "[ERROR][2027-01-15 08:00:02,000] task a version 0 as guest 9999: ended with failed",
		"[ERROR][2027-01-15 08:00:09,000] job j1 as guest 9999: ended with failed: the printer is on fire",
	} {
		require.Contains(t, text.String(), want)
	}
	require.Len(t, errs, 2)
}

// fate-flow-api §1.1 #8: an archive with what was written and what was recorded.
func TestLogsAreDownloaded(t *testing.T) {
	d := newDesk(t)
	d.job("j1", openflow.TaskSuccess, nil, "a")
	d.logs["a"] = "hello\n"
	resp, err := http.Post(d.url+"/v2/job/log/download", "application/json", strings.NewReader(`{"job_id":"j1"}`))
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	require.Equal(t, "application/gzip", resp.Header.Get("Content-Type"))
	require.Contains(t, resp.Header.Get("Content-Disposition"), "job_j1_log.tar.gz")
	zip, err := gzip.NewReader(resp.Body)
	require.NoError(t, err)
	files := map[string]string{}
	for members := tar.NewReader(zip); ; {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		b, err := io.ReadAll(members)
		require.NoError(t, err)
		files[h.Name] = string(b)
	}
	require.Len(t, files, 2)
	require.Equal(t, "hello\n", files["guest/9999/a/0/log"])
	require.Contains(t, files["fate_flow_schedule.log"], "ended with success")
}
