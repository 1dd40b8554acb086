package lr

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
)

// maxClasses bounds one-vs-rest training, which trains one model per class.
const maxClasses = 64

// classes are the distinct values of a label in ascending order: whole numbers, or texts. Of two classes the second one,
// the greater, is positive. Rows say their class by its index; tables and models keep the values themselves.
type classes struct {
	numbers []int
	texts   []string // instead of numbers
}

// count is the number of classes.
func (c classes) count() int { return len(c.numbers) + len(c.texts) }

// name is the value of class k as text.
func (c classes) name(k int) string {
	if c.texts != nil {
		return c.texts[k]
	}
	return strconv.Itoa(c.numbers[k])
}

// positives lists the classes that get a model of their own: the positive one of two, each of several.
func (c classes) positives() []int {
	if c.count() == 2 {
		return []int{1}
	}
	list := make([]int, c.count())
	for k := range list {
		list[k] = k
	}
	return list
}

// continues refuses a warm start from a model of other classes: its coefficients would be taken for those of these.
func (c classes) continues(before classes, t *component.Task) error {
	if slices.Equal(c.numbers, before.numbers) && slices.Equal(c.texts, before.texts) {
		return nil
	}
	return openflow.Errorf(openflow.CodeInvalid, "warm_start_model of %s was trained on other labels than train_data has", t.Party()).
		WithPublic("the guest's warm_start_model was trained on other labels than its train_data has").
		WithHint("continue with rows of the same labels, or train anew")
}

// column holds, for each index, the value of that class.
func (c classes) column(index []int) tables.Vector {
	if c.texts != nil {
		values := make([]string, len(index))
		for i, k := range index {
			values[i] = c.texts[k]
		}
		return tables.NewStrings(values)
	}
	values := make([]int64, len(index))
	for i, k := range index {
		values[i] = int64(c.numbers[k])
	}
	return tables.NewInts(tables.Int64, values)
}

// IsZero reports whether there are none, as in a host's model.
func (c classes) IsZero() bool { return c.count() == 0 }

// MarshalJSON writes the values as a list.
func (c classes) MarshalJSON() ([]byte, error) {
	if c.texts != nil {
		return json.Marshal(c.texts)
	}
	return json.Marshal(c.numbers)
}

// UnmarshalJSON reads what MarshalJSON has written.
func (c *classes) UnmarshalJSON(data []byte) error {
	*c = classes{}
	if json.Unmarshal(data, &c.numbers) == nil {
		return nil
	}
	c.numbers = nil
	if err := json.Unmarshal(data, &c.texts); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "labels are neither whole numbers nor texts")
	}
	return nil
}

// warn tells which of two classes counts as the positive one where it is not the 1 that everybody expects.
func (c classes) warn(ctx context.Context, t *component.Task) error {
	if c.count() != 2 || c.texts == nil && c.numbers[1] == 1 {
		return nil
	}
	return t.Warn(ctx, "the label has the values %q and %q: %q, the greater one, counts as the positive class, and predict_score is its probability",
		cut(c.name(0)), cut(c.name(1)), cut(c.name(1)))
}

// labels returns the class of every sorted row by its index, and the classes.
func (r *rows) labels(t *component.Task) ([]int, classes, error) {
	c := r.frame.Schema.Label
	if c == nil {
		return nil, classes{}, openflow.Errorf(openflow.CodeInvalid, "input of %s has no label column", t.Party()).
			WithPublic("the guest's table has no label").
			WithHint("name the label when the table is made from CSV; only the guest has one")
	}
	var index []int
	var found classes
	var err error
	if c.DType.Kind() == tables.Text {
		index, found.texts, err = r.textLabels(t, c.Name)
	} else {
		index, found.numbers, err = r.numberLabels(t, *c)
	}
	switch {
	case err != nil:
		return nil, classes{}, err
	case found.count() == 1:
		return nil, classes{}, openflow.Errorf(openflow.CodeInvalid, "input of %s: label %q has one value only, there is nothing to learn", t.Party(), c.Name)
	case found.count() > maxClasses:
		return nil, classes{}, openflow.Errorf(openflow.CodeInvalid, "input of %s: label %q has %d values, more than %d classes", t.Party(), c.Name, found.count(), maxClasses).
			WithHint("is it a number to predict? that is not classification")
	}
	return index, found, nil
}

func (r *rows) numberLabels(t *component.Task, c tables.Column) ([]int, []int, error) {
	column, err := r.numbers(t, c, r.frame.Label)
	if err != nil {
		return nil, nil, err
	}
	values := make([]int, len(column))
	for k, x := range column {
		if x != math.Trunc(x) || math.Abs(x) > 1<<31 {
			return nil, nil, openflow.Errorf(openflow.CodeInvalid, "input of %s: label %q is not a whole number in %s", t.Party(), c.Name, r.frame.RowName(r.order[k])).
				WithHint("classes are whole numbers or texts; predicting a number is not classification")
		}
		values[k] = int(x)
	}
	index, distinct := indexed(values)
	return index, distinct, nil
}

func (r *rows) textLabels(t *component.Task, name string) ([]int, []string, error) {
	values := make([]string, len(r.order))
	for k, i := range r.order {
		if values[k] = r.frame.Label.Strings[i]; values[k] == "" {
			return nil, nil, openflow.Errorf(openflow.CodeInvalid, "input of %s: label %q has no value in %s", t.Party(), name, r.frame.RowName(i)).
				WithHint("fill in the label, or leave the row out")
		}
	}
	index, distinct := indexed(values)
	return index, distinct, nil
}

// indexed returns the position of each value among the distinct ones, which are in ascending order.
func indexed[T int | string](values []T) (index []int, distinct []T) {
	distinct = slices.Clone(values)
	slices.Sort(distinct)
	distinct = slices.Compact(distinct)
	index = make([]int, len(values))
	for i, v := range values {
		index[i], _ = slices.BinarySearch(distinct, v)
	}
	return index, distinct
}

// signs is the label of one model: +1 where the row's class is k, −1 elsewhere.
func signs(index []int, k int) []float64 {
	y := make([]float64, len(index))
	for i, class := range index {
		y[i] = -1
		if class == k {
			y[i] = 1
		}
	}
	return y
}
