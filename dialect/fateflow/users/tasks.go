package users

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/store/catalogue"
)

func (a *api) taskFilter(r *http.Request) (catalogue.TaskFilter, error) {
	q := r.URL.Query()
	f := catalogue.TaskFilter{
		Job: openflow.JobID(q.Get("job_id")), Role: openflow.Role(q.Get("role")), Party: openflow.PartyID(q.Get("party_id")),
		Task: openflow.TaskName(q.Get("task_name")), Statuses: statuses[openflow.TaskStatus](q["status"]), ID: openflow.TaskID(q.Get("task_id")),
	}
	if v := q.Get("task_version"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return f, wire.WrongNumber("task_version", v)
		}
		f.Version = &n
	}
	return f, a.OneScheduler(r, f.Job, &f.Scheduler)
}

// queryTasks answers the latest versions that match. The latest is taken before filtering (part 7 #45).
//
// Spec: fate-flow-api §1.2 #6.
func (a *api) queryTasks(r *http.Request) (any, error) {
	f, err := a.taskFilter(r)
	if err != nil {
		return nil, err
	}
	f.LatestOnly, f.Ascending, f.Limit = f.Version == nil, true, application.PageLimit
	rows := []wire.TaskRow{}
	if f.Job != "" || f.ID != "" || f.Task != "" || f.Party != "" || len(f.Statuses) > 0 || f.Role != "" || f.Version != nil {
		tasks, _, err := a.Catalogue.TasksWhere(r.Context(), f)
		if err != nil {
			return nil, err
		}
		for _, t := range tasks {
			rows = append(rows, encodeTask(t))
		}
	}
	if len(rows) == 0 {
		return nil, openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodeNotFound, "No found task"))
	}
	return rows, nil
}

// listTasks pages through all versions.
//
// Spec: fate-flow-api §1.2 #7.
func (a *api) listTasks(r *http.Request) (any, error) {
	f, err := a.taskFilter(r)
	if err != nil {
		return nil, err
	}
	limit, page, err := paging(r)
	if err != nil {
		return nil, err
	}
	descending, err := order(r.URL.Query())
	if err != nil {
		return nil, err
	}
	f.Limit, f.Offset, f.Ascending, f.OrderBy = limit, limit*max(page-1, 0), !descending, r.URL.Query().Get("order_by")
	count, err := a.Catalogue.CountTasks(r.Context(), f)
	if err != nil {
		return nil, err
	}
	tasks, _, err := a.Catalogue.TasksWhere(r.Context(), f)
	rows := make([]wire.TaskRow, 0, len(tasks))
	for _, t := range tasks {
		rows = append(rows, encodeTask(t))
	}
	return map[string]any{"count": count, "data": rows}, err
}

// downloadLogs packs the logs of a job's tasks at this site as tar.gz.
//
// Spec: fate-flow-api §1.1 #8; streamed: part 7 #13.
func (a *api) downloadLogs(w http.ResponseWriter, r *http.Request) {
	scheduler, id, err := a.jobID(r)
	var tasks []openflow.TaskRecord
	if err == nil {
		err = a.OneScheduler(r, id, &scheduler)
	}
	if err == nil {
		tasks, _, err = a.Catalogue.TasksWhere(r.Context(), catalogue.TaskFilter{Job: id, Scheduler: scheduler, Ascending: true})
	}
	if err == nil && len(tasks) == 0 {
		err = openflow.About(openflow.AboutFile, openflow.Errorf(openflow.CodeNotFound, "no logs of job %s here", id))
	}
	if err != nil {
		a.write.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="job_%s_log.tar.gz"`, id))
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	if err := a.packSchedule(r.Context(), out, catalogue.JobFilter{ID: id, Scheduler: scheduler}); err != nil {
		a.Log.WarnContext(r.Context(), "logs not sent whole", "job", id, "err", err)
		panic(http.ErrAbortHandler) // a short archive must not look whole
	}
	for _, t := range tasks {
		if err := a.packLog(r, out, t); err != nil {
			a.Log.WarnContext(r.Context(), "logs not sent whole", "job", id, "err", err)
			panic(http.ErrAbortHandler) // a short archive must not look whole
		}
	}
	if err := closeAll(out, zip); err != nil {
		a.Log.DebugContext(r.Context(), "logs not sent whole", "job", id, "err", err)
	}
}

func closeAll(closers ...io.Closer) error {
	for _, c := range closers {
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// packSchedule writes what this site knows of the job.
func (a *api) packSchedule(ctx context.Context, out *tar.Writer, f catalogue.JobFilter) error {
	var text bytes.Buffer
	err := a.scheduleLines(ctx, f, levelInfo, func(line string) bool {
		text.WriteString(line + "\n")
		return text.Len() < maxLogBytes
	})
	if err != nil {
		return err
	}
	h := &tar.Header{Name: "fate_flow_schedule.log", Mode: 0o600, Size: int64(text.Len()), ModTime: time.Now()}
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	_, err = out.Write(text.Bytes())
	return err
}

// packLog writes one log through a temporary file, because tar wants its size first.
func (a *api) packLog(r *http.Request, out *tar.Writer, t openflow.TaskRecord) error {
	f, err := os.CreateTemp("", "openflow-log-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // a leftover in the temporary folder harms nobody
	defer func() { _ = f.Close() }()           // it is removed anyway
	if err := a.Logs.TaskLog(r.Context(), t, f); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s/%s/%s/%d/log", t.Key.Party.Role, t.Key.Party.ID, t.Key.Task, t.Key.Version)
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: t.UpdateTime}); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(out, f)
	return err
}
