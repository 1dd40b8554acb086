package componenttest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"openflow"
	"openflow/sdk/tables"
	"openflow/sdk/wire"
)

func (n *Node) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(w http.ResponseWriter, r *http.Request, caller openflow.RunID){
		"GET /v2/worker/data/tracking/query":       n.queryTracking,
		"POST /v2/worker/data/tracking/save":       n.saveTracking,
		"GET /openflow/v1/container/data/table":    n.getTable,
		"GET /v2/rows":                             n.getTable,
		"PUT /openflow/v1/container/data/object":   n.putObject,
		"GET /openflow/v1/container/data/file":     n.getFile,
		"PUT /openflow/v1/container/data/file":     n.putFile,
		"POST /v2/worker/model/save":               n.saveModel,
		"GET /v2/worker/model/download":            n.getModel,
		"POST /v2/worker/metric/save/{id}":         n.saveMetric,
		"POST /v2/worker/task/status":              n.saveStatus,
		"POST /openflow/v1/container/task/warning": n.saveWarning,
		"POST /openflow/v1/container/scores/spend": n.spendScores,
		"POST /v1/interconn/chan/push":             n.push,
		"POST /v1/interconn/chan/pop":              n.pop,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			n.mu.Lock()
			caller, ok := n.credentials[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
			n.mu.Unlock()
			if !ok {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			h(w, r, caller)
		})
	}
	return mux
}

// answer is FATE-Flow's; done and refuse are our own dialect's.
func answer(w http.ResponseWriter, code int, message string, data any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "message": message, "data": data}) // the caller may be gone
}

func done(w http.ResponseWriter, data any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"openflow": 1, "data": data}) // the caller may be gone
}

func refuse(w http.ResponseWriter, code openflow.Code, message, hint string) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // the caller may be gone
		"openflow": 1, "error": map[string]any{"code": code, "message": message, "hint": hint},
	})
}

func (n *Node) queryTracking(w http.ResponseWriter, r *http.Request, _ openflow.RunID) {
	q := r.URL.Query()
	n.mu.Lock()
	defer n.mu.Unlock()
	var keys []string
	if q.Has("namespace") {
		keys = append(keys, q.Get("namespace")+"/"+q.Get("name"))
	} else {
		k := strings.Join([]string{q.Get("job_id"), q.Get("role"), q.Get("party_id"), q.Get("task_name"), q.Get("output_key")}, "/")
		for _, o := range n.tracked[k] {
			keys = append(keys, o.table)
		}
	}
	var list []any
	for _, k := range keys {
		if t, ok := n.tables[k]; ok {
			list = append(list, map[string]any{
				"namespace": t.namespace, "name": t.name, "count": t.count, "engine": "file", "data_type": orElse(t.dataType, "dataframe"), "meta": t.meta,
				"path": fmt.Sprintf("/v2/rows?namespace=%s&name=%s", t.namespace, t.name),
			})
		}
	}
	if len(list) == 0 {
		answer(w, 2005, "failed", nil)
		return
	}
	answer(w, 0, "success", list)
}

func (n *Node) saveTracking(w http.ResponseWriter, r *http.Request, caller openflow.RunID) {
	var s map[string]any
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil || s["execution_id"] != string(caller) {
		answer(w, 5001, fmt.Sprintf("Invalid parameter: %v, execution_id[%v]", err, s["execution_id"]), nil)
		return
	}
	text := func(key string) string { s, _ := s[key].(string); return s }
	k, at := openflow.TaskKey{}, text("namespace")+"/"+text("name")
	n.mu.Lock()
	defer n.mu.Unlock()
	if uri := text("uri"); uri != "" {
		content, ok := n.objects[uri]
		if !ok {
			answer(w, 5008, "no object "+uri, nil)
			return
		}
		count := 0
		if o, ok := s["overview"].(map[string]any); ok {
			c, _ := o["count"].(float64)
			count = int(c)
		}
		meta, _ := json.Marshal(s["meta_data"]) // it has been decoded
		n.tables[at] = table{namespace: text("namespace"), name: text("name"), content: content, count: count, dataType: text("data_type"), meta: meta}
	}
	k.Party = n.party(caller)
	name := outputKey(k.Party, text("output_key"))
	for _, o := range n.tracked[name] {
		if o.table == at {
			answer(w, 0, "success", nil)
			return
		}
	}
	n.tracked[name] = append(n.tracked[name], trackedOutput{record: s, table: at})
	answer(w, 0, "success", nil)
}

func (n *Node) party(id openflow.RunID) openflow.Party {
	rest := strings.TrimPrefix(string(id), wire.FederationID(openflow.TaskKey{Job: testJob, Task: testTask})+"_")
	role, party, _ := strings.Cut(rest, "_")
	return openflow.Party{Role: openflow.Role(role), ID: openflow.PartyID(party)}
}

func (n *Node) getTable(w http.ResponseWriter, r *http.Request, _ openflow.RunID) {
	n.mu.Lock()
	t, ok := n.tables[r.URL.Query().Get("namespace")+"/"+r.URL.Query().Get("name")]
	n.mu.Unlock()
	if !ok {
		refuse(w, openflow.CodeNotFound, "No found table", "")
		return
	}
	w.Header().Set("Content-Type", "application/vnd.apache.arrow.stream")
	_, _ = w.Write(t.content) // the caller may be gone
}

func (n *Node) putObject(w http.ResponseWriter, r *http.Request, _ openflow.RunID) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return // the upload broke off: nothing is kept
	}
	if _, err := tables.ReadAll(strings.NewReader(string(content))); err != nil && r.Header.Get("Content-Type") != "application/octet-stream" {
		refuse(w, openflow.CodeInvalid, err.Error(), "")
		return
	}
	sum := sha256.Sum256(content)
	uri := "object:///sha256/" + hex.EncodeToString(sum[:])
	n.mu.Lock()
	n.objects[uri] = content
	n.mu.Unlock()
	done(w, map[string]any{"uri": uri, "bytes": len(content)})
}

func (n *Node) getFile(w http.ResponseWriter, _ *http.Request, caller openflow.RunID) {
	n.mu.Lock()
	content := n.files[caller]
	n.mu.Unlock()
	if content == "" {
		refuse(w, openflow.CodeNotFound, "there is no such file in the folders that may be named here", "")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.WriteString(w, content) // the caller may be gone
}

func (n *Node) putFile(w http.ResponseWriter, r *http.Request, caller openflow.RunID) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return // the file broke off: nothing is kept
	}
	n.mu.Lock()
	n.results[caller].Files[r.URL.Query().Get("name")] = string(content)
	n.mu.Unlock()
	done(w, nil)
}

func (n *Node) saveModel(w http.ResponseWriter, r *http.Request, caller openflow.RunID) {
	file, _, err := r.FormFile("file")
	if err != nil {
		answer(w, 5008, err.Error(), nil)
		return
	}
	data, err := io.ReadAll(file)
	if err != nil || r.FormValue("execution_id") != string(caller) || r.FormValue("model_id") == "" {
		answer(w, 5001, fmt.Sprintf("Invalid parameter: %v", err), nil)
		return
	}
	p := n.party(caller)
	n.mu.Lock()
	n.models[modelKey(string(p.Role), string(p.ID), testTask, r.FormValue("output_key"))] = data
	n.mu.Unlock()
	answer(w, 0, "success", nil)
}

func (n *Node) getModel(w http.ResponseWriter, r *http.Request, _ openflow.RunID) {
	q := r.URL.Query()
	n.mu.Lock()
	data, ok := n.models[modelKey(q.Get("role"), q.Get("party_id"), q.Get("task_name"), q.Get("output_key"))]
	n.mu.Unlock()
	if !ok {
		answer(w, 2005, "No found model", nil)
		return
	}
	w.Header().Set("Content-Type", "application/x-tar")
	_, _ = w.Write(data) // the caller may be gone
}

func (n *Node) saveMetric(w http.ResponseWriter, r *http.Request, caller openflow.RunID) {
	var body struct {
		Data []Metric `json:"data"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.PathValue("id") != string(caller) {
		answer(w, 5001, fmt.Sprintf("Invalid parameter: %v", err), nil)
		return
	}
	n.mu.Lock()
	result := n.results[caller]
	result.Metrics = append(result.Metrics, body.Data...)
	n.mu.Unlock()
	answer(w, 0, "success", nil)
}

func (n *Node) saveWarning(w http.ResponseWriter, r *http.Request, caller openflow.RunID) {
	var body wire.ContainerWarning
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Warning == "" {
		refuse(w, openflow.CodeInvalid, fmt.Sprintf("the warning is empty: %v", err), "")
		return
	}
	n.mu.Lock()
	n.results[caller].Warnings = append(n.results[caller].Warnings, body.Warning)
	n.mu.Unlock()
	done(w, nil)
}

func (n *Node) saveStatus(w http.ResponseWriter, r *http.Request, caller openflow.RunID) {
	var body wire.ContainerStatus
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || string(body.RunID) != string(caller) {
		answer(w, 2000, fmt.Sprintf("No found task: execution_id[%s]", body.RunID), nil)
		return
	}
	n.mu.Lock()
	n.results[caller].Status, n.results[caller].Error = openflow.TaskStatus(body.Status), body.Error
	n.results[caller].Cause = body.Cause()
	n.mu.Unlock()
	answer(w, 0, "success", nil)
}
