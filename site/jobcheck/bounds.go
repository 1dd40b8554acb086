package jobcheck

import (
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Whoever writes a description, or a job, chooses how large it is. What is read of either is bounded here, so that the time and
// the memory of a check are.
const (
	maxSchema = 4_000     // values of one schema: objects, lists, and what is in them
	maxStates = 2_000     // of all patterns of a schema together, as they are matched
	maxText   = 1 << 10   // bytes of one pattern
	maxValue  = 120 << 10 // bytes of a parameter as JSON: no container can be told more
	maxWork   = 1 << 20   // values of the schema times values of the parameter
)

// size is how many values a value of JSON has, itself included.
func size(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			n += size(member)
		}
	case []any:
		for _, item := range v {
			n += size(item)
		}
	}
	return n
}

// bounded refuses a schema that takes too much to compile.
func bounded(doc any) error {
	if n := size(doc); n > maxSchema {
		return fmt.Errorf("it has %d values, and %d are allowed", n, maxSchema)
	}
	n, err := patterns(doc)
	if err == nil && n > maxStates {
		err = errStates
	}
	return err
}

var errStates = fmt.Errorf("its patterns have more than %d states", maxStates)

// patterns counts the states of all patterns of a schema.
func patterns(doc any) (int, error) {
	var texts []string
	n := 0
	switch v := doc.(type) {
	case map[string]any:
		if text, is := v["pattern"].(string); is {
			texts = append(texts, text)
		}
		members, _ := v["patternProperties"].(map[string]any)
		for text := range members {
			texts = append(texts, text)
		}
		for _, member := range v {
			inside, err := patterns(member)
			if n += inside; err != nil || n > maxStates {
				return n, err
			}
		}
	case []any:
		for _, item := range v {
			inside, err := patterns(item)
			if n += inside; err != nil || n > maxStates {
				return n, err
			}
		}
	}
	for _, text := range texts {
		inside, err := states(text)
		if n += inside; err != nil || n > maxStates {
			return n, err
		}
	}
	return n, nil
}

// states is what one pattern takes when it is compiled: a repeat of a thousand is short to write.
func states(pattern string) (int, error) {
	if len(pattern) > maxText {
		return 0, fmt.Errorf("a pattern has %d bytes, and %d are allowed", len(pattern), maxText)
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return 0, err
	}
	n := 0
	for _, inst := range program.Inst {
		n += 1 + len(inst.Rune)/8
	}
	return n, nil
}

// pattern compiles a pattern, also one that is the value of a parameter.
func pattern(text string) (jsonschema.Regexp, error) {
	n, err := states(text)
	if err == nil && n > maxStates {
		err = errStates
	}
	if err != nil {
		return nil, err
	}
	return regexp.Compile(text)
}

// tooLarge is what is wanted instead of a value that takes too much to be judged, or to be told.
const tooLarge = "want a smaller value: large ones are passed as a table"
