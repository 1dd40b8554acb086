package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"openflow"
	"openflow/sdk/wire"
)

// Result is what a demo ends with, also as one JSON document.
type Result struct {
	JobID        string       `json:"job_id"`
	Status       string       `json:"status"`
	Runtime      string       `json:"runtime"`
	Provider     string       `json:"provider"` // of the components, name:version; empty: the built-in one
	Intersection int          `json:"intersection"`
	AUC          float64      `json:"auc"`
	Loss         []float64    `json:"loss"`
	Seconds      float64      `json:"seconds"`
	Tasks        []TaskResult `json:"tasks"`
	Nodes        []NodeResult `json:"nodes"`
}

// TaskResult is one run of a task at one party.
type TaskResult struct {
	Name    string  `json:"name"`
	Role    string  `json:"role"`
	PartyID string  `json:"party_id"`
	Status  string  `json:"status"`
	Seconds float64 `json:"seconds"`
}

// NodeResult is one of the demo's nodes.
type NodeResult struct {
	PartyID    string `json:"party_id"`
	URL        string `json:"url"`
	TemporalUI string `json:"temporal_ui"`
}

// results asks each party for what it may know: the guest for intersection and quality, the arbiter for the loss.
func (n nodes) results(ctx context.Context, o Options, job openflow.JobID, res *Result) error {
	key := func(task openflow.TaskName, p openflow.Party) openflow.TaskKey {
		return openflow.TaskKey{Job: job, Task: task, Party: p}
	}
	var summary struct {
		Count int `json:"intersect_count"`
	}
	if err := n.metric(ctx, 0, key(taskPSI, guest), "summary", &summary); err != nil {
		return err
	}
	res.Intersection = summary.Count
	loss, err := n.losses(ctx, key(taskLR, arbiter))
	if err != nil {
		return err
	}
	res.Loss = loss
	quality, err := n.quality(ctx, key(taskEvaluation, guest))
	if err != nil {
		return err
	}
	res.AUC = quality["auc"]
	fmt.Fprintf(o.Progress, "\nintersection  %d ids\n", res.Intersection)
	fmt.Fprintf(o.Progress, "loss          %s\n", curve(loss))
	fmt.Fprintf(o.Progress, "AUC           %.4f   KS %.4f   precision %.4f   recall %.4f\n",
		quality["auc"], quality["ks"], quality["binary_precision"], quality["binary_recall"])
	if err := n.showOutputs(ctx, o, key); err != nil {
		return err
	}
	return plausible(*res)
}

// plausible refuses to call a model that has learned nothing a success: the demo is to show that training works.
func plausible(res Result) error {
	switch n := len(res.Loss); {
	case n == 0:
		return openflow.Errorf(openflow.CodeInternal, "the arbiter has reported no loss")
	case n > 1 && res.Loss[n-1] >= res.Loss[0]:
		return openflow.Errorf(openflow.CodeRejected, "training has diverged: the loss went from %.4f to %.4f", res.Loss[0], res.Loss[n-1]).
			WithHint("standardise the columns of your data")
	case res.AUC < 0.5:
		return openflow.Errorf(openflow.CodeRejected, "the model is worse than guessing: AUC %.4f", res.AUC).WithHint("check the label column")
	}
	return nil
}

func (n nodes) metric(ctx context.Context, site int, k openflow.TaskKey, name string, into any) error {
	list, err := n.client(site).Metrics(ctx, k)
	if err != nil {
		return err
	}
	for _, m := range list {
		if m.Name == name {
			return decode(m, into)
		}
	}
	return openflow.Errorf(openflow.CodeNotFound, "%s has no metric %q", k, name)
}

func decode(m wire.Metric, into any) error {
	if err := json.Unmarshal(m.Data, into); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "metric %q: %w", m.Name, err)
	}
	return nil
}

// losses is the loss per epoch; each comes as a record of its own (fate-components §6.1).
func (n nodes) losses(ctx context.Context, k openflow.TaskKey) ([]float64, error) {
	list, err := n.client(2).Metrics(ctx, k)
	if err != nil {
		return nil, err
	}
	var losses []float64
	for _, m := range list {
		var points []struct {
			Metric []float64 `json:"metric"`
		}
		if m.Name != "lr_loss" {
			continue
		}
		if err := decode(m, &points); err != nil {
			return nil, err
		}
		for _, p := range points {
			losses = append(losses, p.Metric...)
		}
	}
	return losses, nil
}

// quality takes single values out of the evaluation's record (fate-components §7.1).
func (n nodes) quality(ctx context.Context, k openflow.TaskKey) (map[string]float64, error) {
	var record map[string]map[string][]json.RawMessage
	if err := n.metric(ctx, 0, k, "evaluation", &record); err != nil {
		return nil, err
	}
	values := map[string]float64{}
	for _, set := range record[string(taskLR)] {
		for _, raw := range set {
			for _, entry := range entries(raw) {
				var v float64
				if json.Unmarshal(entry.Val, &v) == nil {
					values[entry.Metric] = v
				}
			}
		}
	}
	return values, nil
}

type entry struct {
	Metric string          `json:"metric"`
	Val    json.RawMessage `json:"val"`
}

// entries reads one entry, or the list of two that ks is.
func entries(raw json.RawMessage) []entry {
	var one entry
	if json.Unmarshal(raw, &one) == nil && one.Metric != "" {
		return []entry{one}
	}
	var list []entry
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return list
}

// curve draws a falling line in text: "0.6931 ▇▆▅▄▃▂▁ 0.4812".
func curve(loss []float64) string {
	if len(loss) == 0 {
		return "none reported"
	}
	bars := []rune("▁▂▃▄▅▆▇█")
	low, high := loss[0], loss[0]
	for _, v := range loss {
		low, high = min(low, v), max(high, v)
	}
	var b strings.Builder
	for _, v := range loss {
		i := 0
		if high > low {
			i = int((v - low) / (high - low) * float64(len(bars)-1))
		}
		b.WriteRune(bars[i])
	}
	return fmt.Sprintf("%.4f %s %.4f  (%d epochs)", loss[0], b.String(), loss[len(loss)-1], len(loss))
}

// showOutputs tells where each party's outputs lie: at its own node, and nowhere else.
func (n nodes) showOutputs(ctx context.Context, o Options, key func(openflow.TaskName, openflow.Party) openflow.TaskKey) error {
	fmt.Fprintln(o.Progress, "outputs, each at its own party's node:")
	for i, p := range []openflow.Party{guest, host, arbiter} {
		var have []string
		for _, t := range []openflow.TaskName{taskPSI, taskLR} {
			if t == taskPSI && p == arbiter {
				continue
			}
			tables, err := n.client(i).OutputTables(ctx, key(t, p))
			if err != nil {
				return err
			}
			for output := range tables {
				have = append(have, fmt.Sprintf("%s/%s", t, output))
			}
		}
		if _, err := n.client(i).Model(ctx, key(taskLR, p)); err == nil {
			have = append(have, string(taskLR)+"/output_model")
		}
		fmt.Fprintf(o.Progress, "  %-8s %-6s %s in %s\n", p.Role, p.ID, strings.Join(have, ", "), filepath.Join(n.Nodes[i].Home, "objects"))
	}
	fmt.Fprintf(o.Progress, "Temporal UI   %s/temporal (while the nodes run: --keep)\n", n.Nodes[0].URL)
	return nil
}
