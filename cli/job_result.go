package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"openflow/sdk"
	"openflow/sdk/wire"
)

// shownRows is how many coefficients, and points at each end of a curve, are shown to people. The JSON has all.
const (
	shownRows   = 200
	shownPoints = 6
)

// showCoefficients writes a model's coefficients as a table: a row for each column, a column for each class.
func showCoefficients(w io.Writer, key string, list []sdk.Coefficient) {
	var classes, columns []string
	value := map[[2]string]string{}
	for _, c := range list {
		if !slices.Contains(classes, c.Class) {
			classes = append(classes, c.Class)
		}
		name := c.Column
		if name == "" {
			name = "(intercept)"
		}
		if len(columns) == 0 || len(classes) == 1 {
			columns = append(columns, name)
		}
		value[[2]string{c.Class, name}] = strconv.FormatFloat(c.Value, 'g', 6, 64)
	}
	if len(columns) == 0 {
		return
	}
	header := []string{"COEFFICIENTS OF " + key}
	for _, class := range classes {
		if class == "" {
			header = append(header, "VALUE")
		} else {
			header = append(header, "CLASS "+class)
		}
	}
	fmt.Fprintln(w)
	line(w, header...)
	for i, name := range columns {
		if i == shownRows {
			line(w, fmt.Sprintf("… %d more: -o json", len(columns)-i))
			return
		}
		row := []string{name}
		for _, class := range classes {
			row = append(row, value[[2]string{class, name}])
		}
		line(w, row...)
	}
}

// showMetrics writes each curve as one row, each figure of an evaluation as one, and of everything else the beginning.
func showMetrics(w io.Writer, list []wire.Metric) {
	var names []string
	curves := map[string][]string{}
	for _, m := range list {
		points, ok := pointsOf(m)
		if !ok {
			continue
		}
		name := strings.Join(append([]string{m.Name}, groupsOf(m)...), " ")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		curves[name] = append(curves[name], points...)
	}
	for _, name := range names {
		line(w, "curve", name, curveText(curves[name]))
	}
	for _, m := range list {
		if _, ok := pointsOf(m); ok {
			continue
		}
		figures := figuresOf(m)
		if len(figures) == 0 {
			line(w, "metric", m.Name, short(string(m.Data)))
		}
		for _, f := range figures {
			line(w, "metric", f[0], f[1])
		}
	}
}

// pointsOf reads the values of a step metric, which are numbers or lists of one.
func pointsOf(m wire.Metric) ([]string, bool) {
	if m.StepAxis == nil {
		return nil, false
	}
	var points []struct {
		Metric json.RawMessage `json:"metric"`
	}
	if json.Unmarshal(m.Data, &points) != nil {
		return nil, false
	}
	var values []string
	for _, p := range points {
		var one float64
		var list []float64
		switch {
		case json.Unmarshal(p.Metric, &one) == nil:
		case json.Unmarshal(p.Metric, &list) == nil && len(list) == 1:
			one = list[0]
		default:
			return nil, false
		}
		values = append(values, strconv.FormatFloat(one, 'f', 4, 64))
	}
	return values, true
}

func curveText(values []string) string {
	n := len(values)
	text := strings.Join(values, " ")
	if n > 2*shownPoints {
		text = strings.Join(values[:shownPoints], " ") + " … " + strings.Join(values[n-shownPoints:], " ")
	}
	return fmt.Sprintf("%s  (%d steps)", text, n)
}

// groupsOf names the groups of a metric below the root.
func groupsOf(m wire.Metric) []string {
	var groups []struct {
		Name  string `json:"name"`
		Index *int   `json:"index"`
	}
	if json.Unmarshal(m.Groups, &groups) != nil {
		return nil
	}
	var names []string
	for _, g := range groups {
		switch {
		case g.Name == "default":
		case g.Index != nil && g.Name == "class": // by its number, where the labels are not known
			names = append(names, "model "+strconv.Itoa(*g.Index+1))
		default:
			names = append(names, g.Name)
		}
	}
	return names
}

// figuresOf lists the single figures of an evaluation as name and value; its tables are for the JSON.
//
// Spec: fate-components §7.1.
func figuresOf(m wire.Metric) (list [][2]string) {
	type entry struct {
		Metric string   `json:"metric"`
		Value  *float64 `json:"val"`
	}
	var tasks map[string]map[string][]json.RawMessage
	if m.Name != "evaluation" || json.Unmarshal(m.Data, &tasks) != nil {
		return nil
	}
	for task, types := range tasks {
		for kind, entries := range types {
			for _, raw := range entries {
				var one entry
				var pair []json.RawMessage
				if json.Unmarshal(raw, &pair) == nil && len(pair) > 0 { // ks is a list: its figure and its curve
					raw = pair[0]
				}
				if json.Unmarshal(raw, &one) == nil && one.Value != nil {
					list = append(list, [2]string{one.Metric + " of " + task + ", " + kind, strconv.FormatFloat(*one.Value, 'g', 6, 64)})
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return list
}
