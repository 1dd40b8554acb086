package users

import (
	"net/http"
)

// taskLog streams what a task's container has written, as text.
func (a *api) taskLog(w http.ResponseWriter, r *http.Request) {
	t, err := a.QueriedTask(r)
	if err != nil {
		a.write.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := a.Logs.TaskLog(r.Context(), t, w); err != nil {
		a.Log.WarnContext(r.Context(), "log not sent whole", "task", t.Key.String(), "err", err)
	}
}
