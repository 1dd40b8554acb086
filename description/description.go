// Package description reads what components say of themselves, in whatever form, into one model: openflow.ComponentRecord.
//
// A description is believed to be hostile. [Parse] bounds it before anything is made of it. Then a [Form] reads it, through a
// [Reading]: that one notes what is passed over, and stops at nothing else than what is wrong. [Document.Record] finds the form,
// and judges what all of them have in common. What a form cannot say follows from a rule, which docs/descriptions.md has.
//
// Each form is a package below this one.
package description

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"openflow"
	"openflow/sdk/wire"
)

// What one description may be.
const (
	MaxBytes      = 1 << 20   // in JSON
	maxYAML       = 256 << 10 // bytes of YAML, which costs more to read
	maxNumber     = 40        // characters of a number
	maxExponent   = 400       // of one, beyond which nothing can calculate with it
	MaxParameters = 200       // of one component
	MaxArtifacts  = 200       // inputs, or outputs, of one
	maxName       = 128       // bytes of a parameter's or artifact's name
	maxSaid       = 4 << 10   // bytes of a title or summary that are kept
	maxWarnings   = 50        // of one component
	MaxWishes     = 100       // things that one component wishes for
	maxWish       = 4 << 10   // bytes of one, such as a path
)

// Form is one form of description.
type Form interface {
	Name() string
	// Is reports whether a document claims to be of this form.
	Is(members map[string]any) bool
	// Read makes the model of a document of this form. What is wrong it tells r.
	Read(r *Reading, document *Object) openflow.ComponentRecord
}

// Document is a description that is bounded and well formed. Nothing is known of its meaning.
type Document struct {
	Text    json.RawMessage // as JSON without blanks
	Values  int             // names, values and brackets in it
	members map[string]any
}

// Parse reads a description, in JSON or YAML. Errors: CodeInvalid, with what is wrong as the end of a sentence about it.
func Parse(raw []byte) (Document, error) {
	if len(raw) > MaxBytes {
		return Document{}, wrong("has more than %d bytes", MaxBytes)
	}
	if !utf8.Valid(raw) {
		return Document{}, wrong("is not UTF-8")
	}
	text := bytes.TrimSpace(raw)
	if len(text) > maxYAML && text[0] != '{' {
		return Document{}, wrong("has more than %d bytes of YAML", maxYAML)
	}
	tree, err := wire.Plain(raw)
	if err != nil {
		return Document{}, wrong("is not readable: %s", openflow.FirstLine(message(err))) // YAML's picture of the place is no line
	}
	members, ok := tree.(map[string]any)
	if !ok {
		return Document{}, wrong("is not readable: it is no object")
	}
	d := Document{members: members}
	if err := d.count(tree); err != nil {
		return d, err
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) == nil {
		d.Text = compact.Bytes()
		return d, nil
	}
	if d.Text, err = json.Marshal(tree); err != nil {
		return d, wrong("is not readable: %s", openflow.Heard(err.Error()))
	}
	return d, nil
}

// message is what an error says without its remedy, which is for those who send documents of other kinds.
func message(err error) string {
	var e *openflow.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// count refuses texts that would do something where people read them, and numbers that take for ever to calculate with.
func (d *Document) count(v any) error {
	d.Values++
	switch v := v.(type) {
	case string:
		return harmless(v)
	case json.Number:
		return finite(string(v))
	case []any:
		for _, item := range v {
			if err := d.count(item); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, member := range v {
			d.Values++
			if err := harmless(name); err != nil {
				return err
			}
			if err := d.count(member); err != nil {
				return err
			}
		}
	}
	return nil
}

func harmless(text string) error {
	if text = strings.ReplaceAll(text, "\t", " "); openflow.Readable(text) != text {
		return wrong("has control characters")
	}
	return nil
}

func finite(number string) error {
	_, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	power, err := strconv.Atoi(exponent)
	if exponent == "" {
		power, err = 0, nil
	}
	if err != nil || power > maxExponent || power < -maxExponent || len(number) > maxNumber {
		return wrong("has a number that nothing can calculate with: %s", openflow.Cut(number, maxNumber))
	}
	if n, err := strconv.ParseFloat(number, 64); err != nil || math.IsInf(n, 0) {
		return wrong("has a number that nothing can calculate with: %s", openflow.Cut(number, maxNumber))
	}
	return nil
}

// maxInner is how many bytes a text may have that holds JSON itself.
const maxInner = 64 << 10

// Value reads a text of a description that holds JSON itself. Not ok: it holds none, or none that a description could hold.
func Value(text string) (value any, ok bool) {
	text = strings.TrimSpace(text)
	if len(text) > maxInner || !json.Valid([]byte(text)) {
		return nil, false
	}
	switch text[0] {
	case '{', '[':
		tree, err := wire.Plain([]byte(text))
		value = tree
		ok = err == nil
	case '"':
		var plain string
		ok = wire.Unmarshal([]byte(text), &plain) == nil
		value = plain
	case 't', 'f':
		value, ok = text == "true", true
	case 'n':
		ok = true
	default:
		value, ok = json.Number(text), true
	}
	return value, ok && (&Document{}).count(value) == nil
}

func wrong(format string, args ...any) error {
	return openflow.Errorf(openflow.CodeInvalid, format, args...)
}

// Record reads the document in the first of the forms that it claims to be of. Errors: CodeInvalid, as those of Parse.
func (d Document) Record(forms ...Form) (openflow.ComponentRecord, error) {
	i := slices.IndexFunc(forms, func(f Form) bool { return f.Is(d.members) })
	if i < 0 {
		names := make([]string, len(forms))
		for i, f := range forms {
			names[i] = f.Name()
		}
		return openflow.ComponentRecord{}, wrong("is of no form that is known here (%s)", strings.Join(names, ", "))
	}
	r := &Reading{}
	c := forms[i].Read(r, r.object("", d.members))
	c.Form, c.Description = forms[i].Name(), d.Text
	r.complete(&c)
	c.Warnings = r.warnings
	return c, r.err
}

// complete judges what all forms have in common, and fills in what no form needs to say.
func (r *Reading) complete(c *openflow.ComponentRecord) {
	if openflow.CheckIdentifier("component", c.Name) != nil {
		r.Fail("names a component %q, which none can be called: want 1 to 128 letters a–z and A–Z, digits, '_', '-' and '.', first a letter or digit",
			openflow.Cut(c.Name, 80))
	}
	if openflow.CheckProvider(c.Provider.Name, c.Provider.Version) != nil {
		r.Fail("says that it is of provider %q in version %q, which no provider can be: want 1 to 64 letters, digits, '_', '-', '+' and '.', first a letter or digit",
			openflow.Cut(c.Provider.Name, 80), openflow.Cut(c.Provider.Version, 80))
	}
	c.Title, c.Summary = openflow.Cut(c.Title, maxSaid), openflow.Cut(c.Summary, maxSaid)
	r.parameters(c.Parameters)
	r.artifacts("inputs", c.Inputs)
	r.artifacts("outputs", c.Outputs)
	r.refer(*c)
	switch c.Way {
	case openflow.WayResident:
		c.Runs = cmp.Or(c.Runs, openflow.UsualRuns)
	case "", openflow.WayTask:
		c.Way = openflow.WayTask
		if c.Runs > 0 {
			r.Warn("resident says how many runs one container serves, and the way of this component is a %s; it is ignored", c.Way)
		}
		c.Runs = 0
	default:
		r.Fail("has a way that there is not: %q; want %q or %q", openflow.Cut(string(c.Way), 80), openflow.WayTask, openflow.WayResident)
	}
	r.probes(*c)
	if !c.Declared {
		c.Protocols = []openflow.Protocol{openflow.OwnProtocol(c.Provider, c.Name)}
	} else if err := openflow.CheckProtocols(c.Protocols); err != nil {
		r.Fail("names protocols wrongly: %s", openflow.Heard(err.Error()))
	}
}

// probes refuses those that nobody could ask. A request needs a container that is there between runs.
func (r *Reading) probes(c openflow.ComponentRecord) {
	for _, p := range c.Probes {
		if err := p.Check(); err != nil {
			r.Fail("%s", message(err))
		}
		if p.HTTP != "" && c.Way != openflow.WayResident {
			r.Fail("has a %s probe by http, which needs a resident container: \"way\": %q", p.Kind, openflow.WayResident)
		}
	}
}

func (r *Reading) parameters(list []openflow.ComponentParameter) {
	if len(list) > MaxParameters {
		r.Fail("has %d parameters, and %d are allowed", len(list), MaxParameters)
		return
	}
	known := map[string]bool{}
	for i, p := range list {
		if !named(p.Name) {
			r.Fail("has a parameter %q, which none can be called: want %s", openflow.Cut(p.Name, 80), nameRule)
		}
		if known[p.Name] {
			r.Fail("has parameter %q twice", openflow.Cut(p.Name, 80))
		}
		known[p.Name] = true
		list[i].Title, list[i].Summary = openflow.Cut(p.Title, maxSaid), openflow.Cut(p.Summary, maxSaid)
	}
}

func (r *Reading) artifacts(what string, list []openflow.ComponentArtifact) {
	if len(list) > MaxArtifacts {
		r.Fail("has %d %s, and %d are allowed", len(list), what, MaxArtifacts)
		return
	}
	known := map[string]bool{}
	for i, a := range list {
		if !named(a.Key) {
			r.Fail("has an artifact %q among its %s, which none can be called: want %s", openflow.Cut(a.Key, 80), what, nameRule)
		}
		if known[a.Key] {
			r.Fail("has artifact %q twice among its %s", openflow.Cut(a.Key, 80), what)
		}
		known[a.Key] = true
		list[i].Summary = openflow.Cut(a.Summary, maxSaid)
	}
}

// refer refuses names that stand for nothing: of the parameter or input that something depends on.
func (r *Reading) refer(c openflow.ComponentRecord) {
	parameter := func(name string) bool {
		return name == "" || slices.ContainsFunc(c.Parameters, func(p openflow.ComponentParameter) bool { return p.Name == name })
	}
	input := func(name string) bool {
		return name == "" || slices.ContainsFunc(c.Inputs, func(a openflow.ComponentArtifact) bool { return a.Key == name && a.Kind == openflow.InputData })
	}
	for _, a := range slices.Concat(c.Inputs, c.Outputs) {
		if !parameter(a.LabelName) {
			r.Fail("names a parameter for the label of %q that there is not: %q", openflow.Cut(a.Key, 80), openflow.Cut(a.LabelName, 80))
		}
		if !input(a.Like) {
			r.Fail("says that %q is like an input that there is not: %q", openflow.Cut(a.Key, 80), openflow.Cut(a.Like, 80))
		}
	}
	for _, n := range c.Needs {
		if !parameter(n.Parameter) {
			r.Fail("has a need by a parameter that there is not: %q", openflow.Cut(n.Parameter, 80))
		}
	}
}

// nameRule says what named asks for.
const nameRule = "1 to 128 letters a–z and A–Z, digits, '_', '-' and '.', first a letter or '_'"

// named reports whether s can be the name of a parameter or artifact. Names go into paths of messages, and for some programs
// into names of environment variables.
func named(s string) bool {
	if len(s) == 0 || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// Reading is a description while it is read: what has been passed over, and the first thing that is wrong.
type Reading struct {
	warnings []string
	err      error
}

// Fail notes that something is wrong, as the end of a sentence about the description. The first such thing is told.
func (r *Reading) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = wrong(format, args...)
	}
}

// Warn notes what is passed over, or made up for.
func (r *Reading) Warn(format string, args ...any) {
	if len(r.warnings) < maxWarnings {
		r.warnings = append(r.warnings, openflow.Line(fmt.Sprintf(format, args...)))
	}
}

func (r *Reading) object(path string, members map[string]any) *Object {
	return &Object{Reading: r, path: path, members: members, read: map[string]bool{}}
}

// Object is an object of a description. Its methods read one member each; what has another type than they want is wrong.
type Object struct {
	*Reading
	path    string
	members map[string]any
	read    map[string]bool
}

func (o *Object) at(key string) string {
	return strings.TrimPrefix(o.path+"."+openflow.Cut(key, 80), ".")
}

// Any is a member as it is, nil where it is absent or null.
func (o *Object) Any(key string) any {
	o.read[key] = true
	return o.members[key]
}

// Has reports whether there is such a member, also where it is null.
func (o *Object) Has(key string) bool {
	_, has := o.members[key]
	return has
}

// Text is a text, or a number as its digits; empty where there is none.
func (o *Object) Text(key string) string {
	switch v := o.Any(key).(type) {
	case nil:
	case string:
		return v
	case json.Number:
		return v.String()
	default:
		o.Fail("has no text in %s", o.at(key))
	}
	return ""
}

// Texts is a list of texts; one text is a list of itself, and an empty one is none.
func (o *Object) Texts(key string) []string {
	var list []string
	switch v := o.Any(key).(type) {
	case nil:
	case string:
		if v != "" {
			list = []string{v}
		}
	case []any:
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				o.Fail("has no list of texts in %s", o.at(key))
				return nil
			}
			list = append(list, text)
		}
	default:
		o.Fail("has no list of texts in %s", o.at(key))
	}
	return list
}

// Truth is a truth value, also in quotes and in capital letters; usual where there is none.
func (o *Object) Truth(key string, usual bool) bool {
	v := o.Any(key)
	if v == nil || v == "" {
		return usual
	}
	truth, ok := Truth(v)
	if !ok {
		o.Fail("has neither true nor false in %s", o.at(key))
	}
	return truth
}

// Truth reads a value as true or false: also in quotes, in any letters, and as 1 and 0.
func Truth(v any) (truth, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "true", "1":
			return true, true
		case "false", "0":
			return false, true
		}
	case json.Number:
		return v == "1", v == "0" || v == "1"
	}
	return false, false
}

// Count is a whole number from 0 to most.
func (o *Object) Count(key string, most int) int {
	v := o.Any(key)
	if v == nil {
		return 0
	}
	number, _ := v.(json.Number)
	n, err := strconv.Atoi(number.String())
	if err != nil || n < 0 || n > most {
		o.Fail("has no whole number from 0 to %d in %s", most, o.at(key))
	}
	return n
}

// Residents is a member that says how many runs a resident container serves at once; 0 where it says nothing.
func (o *Object) Residents(key string) int {
	in := o.Object(key)
	runs := in.Count("runs", openflow.MostRuns)
	if runs == 0 && in.Any("runs") != nil {
		o.Fail("has no whole number from 1 to %d in %s", openflow.MostRuns, in.at("runs"))
	}
	in.Without()
	return runs
}

// Wishes is a member that says what the containers of a component need beyond what all have. A wish that is not understood is
// wrong: who approves of a component is to know all that it asks for.
//
// Spec: algorithm-image-signature §5.
func (o *Object) Wishes(key string) openflow.Wishes {
	in := o.Object(key)
	w := openflow.Wishes{
		Capabilities: in.wished("capabilities"), Mounts: in.wished("mounts"), Networks: in.wished("networks"), Environment: in.wished("environment"),
		Cores: in.Count("cores", math.MaxInt32), Memory: int64(in.Count("memory", math.MaxInt)), Processes: in.Count("processes", math.MaxInt32),
		Disk: int64(in.Count("disk", math.MaxInt)),
	}
	if len(w.Capabilities)+len(w.Mounts)+len(w.Networks)+len(w.Environment) > MaxWishes {
		o.Fail("wishes for more than %d things in %s", MaxWishes, in.path)
	}
	for _, name := range in.Names() {
		if !in.read[name] {
			o.Fail("wishes for what there is not: %s", in.at(name))
		}
	}
	return w
}

// wished is a list of texts, none of which is empty or long.
func (o *Object) wished(key string) []string {
	if _, alone := o.Any(key).(string); alone {
		o.Fail("has no list of texts in %s", o.at(key))
	}
	list := o.Texts(key)
	for _, text := range list {
		if text == "" || len(text) > maxWish {
			o.Fail("wishes for something in %s that has no letter, or more than %d bytes", o.at(key), maxWish)
		}
	}
	return list
}

// Object is a member that is an object; an empty one where there is none.
func (o *Object) Object(key string) *Object {
	v := o.Any(key)
	members, ok := v.(map[string]any)
	if !ok && v != nil {
		o.Fail("has no object in %s", o.at(key))
	}
	return o.object(o.at(key), members)
}

// Objects is a list of objects.
func (o *Object) Objects(key string) []*Object {
	v := o.Any(key)
	items, ok := v.([]any)
	if !ok && v != nil {
		o.Fail("has no list in %s", o.at(key))
	}
	var list []*Object
	for i, item := range items {
		members, ok := item.(map[string]any)
		if !ok {
			o.Fail("has no list of objects in %s", o.at(key))
			return nil
		}
		list = append(list, o.object(o.at(key)+"["+strconv.Itoa(i)+"]", members))
	}
	return list
}

// Names lists the members, in the order of their names.
func (o *Object) Names() []string { return slices.Sorted(maps.Keys(o.members)) }

// Without warns of the members that nobody has read and that are none of these, which say nothing that is needed here.
func (o *Object) Without(known ...string) {
	for _, name := range o.Names() {
		if !o.read[name] && !slices.Contains(known, name) && o.members[name] != nil {
			o.Warn("%s is not known here; it is ignored", o.at(name))
		}
	}
}

// Roles reads a list of roles; those that there are not are wrong.
func (o *Object) Roles(key string) []openflow.Role {
	var roles []openflow.Role
	for _, text := range o.Texts(key) {
		role := openflow.Role(text)
		if !role.Valid() {
			o.Fail("names a role that there is not in %s: %q", o.at(key), openflow.Cut(text, 80))
		}
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return roles
}

// stages are those that there are, in the order in which a description of FATE's has them.
var stages = []openflow.Stage{openflow.StageDefault, openflow.StageTrain, openflow.StagePredict, openflow.StageCrossValidation}

// Stages reads a list of stages; those that there are not are wrong.
func (o *Object) Stages(key string) []openflow.Stage {
	var list []openflow.Stage
	for _, text := range o.Texts(key) {
		stage := openflow.Stage(text)
		if !slices.Contains(stages, stage) {
			o.Fail("names a stage that there is not in %s: %q", o.at(key), openflow.Cut(text, 80))
		}
		if !slices.Contains(list, stage) {
			list = append(list, stage)
		}
	}
	return list
}

// Protocols reads what a component says that it speaks. said is false where it says nothing.
func (o *Object) Protocols(key string) (list []openflow.Protocol, said bool) {
	if o.Any(key) == nil {
		return nil, false
	}
	for _, p := range o.Objects(key) {
		list = append(list, openflow.Protocol{Name: p.Text("name"), Version: p.Text("version")})
		p.Without()
	}
	return list, true
}

// Probes reads how a component is asked whether it works. Times are in seconds.
func (o *Object) Probes(key string) []openflow.ComponentProbe {
	var list []openflow.ComponentProbe
	all := o.Object(key)
	for _, kind := range openflow.ProbeKinds {
		if all.Any(string(kind)) == nil {
			continue
		}
		p := all.Object(string(kind))
		list = append(list, openflow.ComponentProbe{
			Kind: kind, Command: p.Texts("command"), HTTP: p.Text("http"),
			Every:    time.Duration(p.count("every", int(openflow.MaxProbeEvery/time.Second), int(openflow.UsualProbeEvery/time.Second))) * time.Second,
			Timeout:  time.Duration(p.count("timeout", int(openflow.MaxProbeTimeout/time.Second), int(openflow.UsualProbeTimeout/time.Second))) * time.Second,
			Failures: p.count("failures", openflow.MaxProbeFails, openflow.UsualProbeFails),
		})
		p.Without()
	}
	all.Without()
	return list
}

// count is as Count, with what is usual where the member is not there.
func (o *Object) count(key string, most, usual int) int {
	if n := o.Count(key, most); o.Any(key) != nil {
		return n
	}
	return usual
}
