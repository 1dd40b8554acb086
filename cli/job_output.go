package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
)

// taskLog is an entry of the document of job logs.
type taskLog struct {
	TaskName string `json:"task_name"`
	Role     string `json:"role"`
	PartyID  string `json:"party_id"`
	Version  int    `json:"task_version"`
	Log      string `json:"log"`
}

func logsCommand(o *options) *cobra.Command {
	var choice taskChoice
	var raw bool
	c := &cobra.Command{
		Use:   "logs ID [--task TASK]",
		Short: "Show what a task's container has written",
		Long: `Show what the containers of a job's tasks at this site have written, also while they run. Without --task, all tasks
are shown one after the other.

What would move the terminal's cursor, or is not to be seen, is written out, as \x1b for an escape. --raw shows the bytes as they
are, for a pipe.`,
		Example: `  openflow job logs 202601021504050000000 --task psi_0
  openflow job logs 202601021504050000000 --task psi_0 --role host`,
		Args: positional("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			client := o.client()
			tasks, err := choice.find(c.Context(), client, openflow.JobID(args[0]))
			if err != nil {
				return err
			}
			if o.output == outputJSON {
				return o.logDocument(c, client, tasks)
			}
			for _, t := range tasks {
				if len(tasks) > 1 {
					line(c.OutOrStdout(), fmt.Sprintf("==> %s (%s %s) <==", versioned(t), t.Role, t.PartyID))
				}
				out := &counted{to: c.OutOrStdout()}
				shown := &visible{to: out}
				into := io.Writer(shown)
				if raw {
					into = out
				}
				if err := errors.Join(client.Logs(c.Context(), keyOf(t), into), shown.flush()); err != nil {
					return err
				}
				if out.n == 0 {
					say(c, "%s (%s %s) has written nothing", versioned(t), t.Role, t.PartyID)
				}
			}
			return nil
		},
	}
	choice.flags(c, "task; empty: all of the job")
	c.Flags().BoolVar(&raw, "raw", false, "the bytes as they are, also those that move a terminal's cursor")
	return c
}

// visible writes on what is visible; see openflow.Visible. A character may come in two parts.
type visible struct {
	to   io.Writer
	part []byte // the beginning of a character
}

// Write implements io.Writer.
func (v *visible) Write(p []byte) (int, error) {
	text := append(v.part, p...)
	whole := len(text)
	for i := max(0, len(text)-utf8.UTFMax+1); i < len(text); i++ {
		if utf8.RuneStart(text[i]) && !utf8.FullRune(text[i:]) {
			whole = i
			break
		}
	}
	v.part = bytes.Clone(text[whole:])
	if _, err := io.WriteString(v.to, openflow.Visible(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush writes what is left of a character that has never become whole.
func (v *visible) flush() error {
	if len(v.part) == 0 {
		return nil
	}
	_, err := io.WriteString(v.to, openflow.Visible(string(v.part)))
	v.part = nil
	return err
}

// counted counts what is written through it.
type counted struct {
	to io.Writer
	n  int
}

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += n
	return n, err
}

func (o *options) logDocument(c *cobra.Command, client *sdk.Client, tasks []wire.TaskRow) error {
	logs := make([]taskLog, 0, len(tasks))
	for _, t := range tasks {
		var text strings.Builder
		if err := client.Logs(c.Context(), keyOf(t), &text); err != nil {
			return err
		}
		logs = append(logs, taskLog{t.TaskName, t.Role, t.PartyID, t.TaskVersion, text.String()})
	}
	return o.show(c, logs, nil)
}

// taskOutput is the document of job output.
type taskOutput struct {
	JobID    string                     `json:"job_id"`
	TaskName string                     `json:"task_name"`
	Role     string                     `json:"role"`
	PartyID  string                     `json:"party_id"`
	Data     map[string][]sdk.Dataset   `json:"data"`   // by output key
	Models   map[string]json.RawMessage `json:"models"` // by output key
	// Coefficients of the models that are linear, by output key, with the names of this party's columns.
	Coefficients map[string][]sdk.Coefficient `json:"coefficients"`
	Metrics      []wire.Metric                `json:"metrics"`
	Files        []string                     `json:"files"` // written with --dir
}

func outputCommand(o *options) *cobra.Command {
	var choice taskChoice
	var dir string
	c := &cobra.Command{
		Use:   "output ID --task TASK [-d DIR]",
		Short: "Show or fetch the data, models and metrics of a task",
		Long: `Show the data, models and metrics that a task has made at this site, such as the curve of the loss and the figures of
an evaluation. Of a linear model it shows the coefficients of this site's columns. With --dir they are written as files: tables as
DIR/<key>/<number>.csv, models as DIR/<key>.model.json, metrics as DIR/metrics.json.`,
		Example: `  openflow job output 202601021504050000000 --task psi_0 -d intersection
  openflow job output 202601021504050000000 --task lr_0 -o json | jq .metrics`,
		Args: positional("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if choice.task == "" {
				return usagef("--task is missing")
			}
			client := o.client()
			tasks, err := choice.find(c.Context(), client, openflow.JobID(args[0]))
			if err != nil {
				return err
			}
			if len(tasks) > 1 {
				return usagef("this site plays several roles in task %s: choose one with --role", choice.task)
			}
			out, err := readOutput(c, client, keyOf(tasks[0]))
			if err == nil && dir != "" {
				say(c, "writing to %s", dir)
				out.Files, err = saveOutput(c, client, keyOf(tasks[0]), out, dir)
			}
			if err != nil {
				return err
			}
			return o.show(c, out, out.text)
		},
	}
	choice.flags(c, "task (required)")
	c.Flags().StringVarP(&dir, "dir", "d", "", "folder to write to")
	return c
}

// absent takes "there is none" for an answer.
func absent(err error, about openflow.Subject) error {
	var e *openflow.Error
	if openflow.CodeOf(err) == openflow.CodeNotFound && asError(err, &e) && e.Subject == about {
		return nil
	}
	return err
}

func readOutput(c *cobra.Command, client *sdk.Client, k openflow.TaskKey) (taskOutput, error) {
	ctx := c.Context()
	out := taskOutput{
		JobID: string(k.Job), TaskName: string(k.Task), Role: string(k.Party.Role), PartyID: string(k.Party.ID),
		Data: map[string][]sdk.Dataset{}, Models: map[string]json.RawMessage{}, Coefficients: map[string][]sdk.Coefficient{}, Metrics: []wire.Metric{}, Files: []string{},
	}
	tables, err := client.OutputTables(ctx, k)
	if err != nil {
		return out, err
	}
	for key, names := range tables {
		for _, n := range names {
			out.Data[key] = append(out.Data[key], sdk.Dataset(n))
		}
	}
	models, err := client.Model(ctx, k)
	if err := absent(err, openflow.AboutModel); err != nil {
		return out, err
	}
	maps.Copy(out.Models, models)
	for key, m := range out.Models {
		if list := sdk.Coefficients(m); len(list) > 0 {
			out.Coefficients[key] = list
		}
	}
	metrics, err := client.Metrics(ctx, k)
	out.Metrics = append(out.Metrics, metrics...)
	return out, err
}

func saveOutput(c *cobra.Command, client *sdk.Client, k openflow.TaskKey, out taskOutput, dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "folder for the output: %w", err)
	}
	files := []string{}
	if len(out.Data) > 0 {
		written, err := client.OutputData(c.Context(), k, "", dir)
		files = append(files, written...)
		if err != nil {
			return files, err
		}
	}
	documents := map[string]any{}
	for key, m := range out.Models {
		if err := openflow.CheckIdentifier("output key of a model", key); err != nil { // it becomes a file's name
			return files, err
		}
		documents[key+".model.json"] = m
	}
	if len(out.Metrics) > 0 {
		documents["metrics.json"] = out.Metrics
	}
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		file := filepath.Join(dir, name)
		b, err := json.MarshalIndent(documents[name], "", "  ")
		if err == nil {
			err = os.WriteFile(file, append(b, '\n'), 0o600)
		}
		if err != nil {
			return files, openflow.Errorf(openflow.CodeInvalid, "file of the output: %w", err)
		}
		files = append(files, file)
	}
	return files, nil
}

func (t taskOutput) text(w io.Writer) {
	line(w, "KIND", "NAME", "VALUE")
	for _, key := range slices.Sorted(maps.Keys(t.Data)) {
		for _, d := range t.Data[key] {
			line(w, "data", key, d.Namespace+"/"+d.Name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(t.Models)) {
		line(w, "model", key, strconv.Itoa(len(t.Models[key]))+" bytes")
	}
	showMetrics(w, t.Metrics)
	for _, f := range t.Files {
		line(w, "file", f, "written")
	}
	for _, key := range slices.Sorted(maps.Keys(t.Coefficients)) {
		showCoefficients(w, key, t.Coefficients[key])
	}
}

// shown is how many letters of a metric fit into a table.
const shown = 80

func short(s string) string {
	if r := []rune(s); len(r) > shown {
		return string(r[:shown]) + "…"
	}
	return s
}
