package settings

import (
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"openflow"
)

// Prefix begins the environment variable of every setting: --listen-base is OPENFLOW_LISTEN_BASE.
const Prefix = "OPENFLOW_"

// configFlag names the file; it is no key of the file itself.
const configFlag = "config"

// Group is what belongs together among the settings of a command.
type Group struct {
	Title  string
	Fields []Field
}

// Field is one setting.
type Field struct {
	Name     string // of the flag, without dashes, and of the key in the file
	Variable string // of the environment
	Help     string
	Default  string // what the tag says of it; empty: the value says it
	Required string // an example, of a setting that must be given

	least time.Duration // of a time, from the tag
	value reflect.Value // addressable
}

// groups lists the settings of s, a pointer to a tagged struct. Fields of s itself come first, without a title.
func groups(s any) []Group {
	v := reflect.ValueOf(s).Elem()
	list := []Group{{}}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		title, inner := f.Tag.Lookup("title")
		if !inner {
			list[0].Fields = append(list[0].Fields, field(f, v.Field(i)))
			continue
		}
		g := Group{Title: title}
		for j := range f.Type.NumField() {
			g.Fields = append(g.Fields, field(f.Type.Field(j), v.Field(i).Field(j)))
		}
		list = append(list, g)
	}
	return list
}

func field(f reflect.StructField, v reflect.Value) Field {
	name := f.Tag.Get("flag")
	least, _ := time.ParseDuration(f.Tag.Get("least")) // none: no time is too short
	return Field{
		Name: name, Variable: variable(name, f.Tag.Get("env")), Help: f.Tag.Get("help"), Default: f.Tag.Get("default"),
		Required: f.Tag.Get("required"), least: least, value: v,
	}
}

func variable(name, env string) string {
	if env == "" {
		env = strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	}
	return Prefix + env
}

// fields lists the settings of s without their groups.
func fields(s any) (list []Field) {
	for _, g := range groups(s) {
		list = append(list, g.Fields...)
	}
	return list
}

// Register makes a flag of every setting of s, a pointer to a tagged struct, and the flag --config.
func Register(flags *pflag.FlagSet, s any) {
	for _, f := range fields(s) {
		help := f.Help
		if f.Default != "" {
			help += " (default: " + f.Default + ")"
		}
		if f.Required != "" {
			help += " (required)"
		}
		switch p := f.value.Addr().Interface().(type) {
		case *string:
			flags.StringVar(p, f.Name, *p, help)
		case *[]string:
			flags.StringArrayVar(p, f.Name, *p, help)
		case *bool:
			flags.BoolVar(p, f.Name, *p, help)
			flags.Lookup(f.Name).Value = said{flags.Lookup(f.Name).Value, "neither true nor false"}
		case *int:
			flags.IntVar(p, f.Name, *p, help)
			flags.Lookup(f.Name).Value = said{flags.Lookup(f.Name).Value, "not a whole number"}
		case *time.Duration:
			flags.DurationVar(p, f.Name, *p, help)
			flags.Lookup(f.Name).Value = period{flags.Lookup(f.Name).Value, p, f.least}
		case pflag.Value:
			flags.Var(p, f.Name, help)
		}
		if f.Default != "" { // the text says it, so pflag need not
			flags.Lookup(f.Name).DefValue = fmt.Sprint(reflect.Zero(f.value.Type()))
		}
	}
	flags.String(configFlag, "", "YAML file with these settings; flags and environment come first")
}

// said is a value that says in our words what is wrong with a text; pflag's own errors are those of Go's parsers.
type said struct {
	pflag.Value
	wrong string
}

// Set implements pflag.Value.
func (v said) Set(text string) error {
	if v.Value.Set(text) != nil {
		return openflow.Errorf(openflow.CodeInvalid, "%q is %s", text, v.wrong)
	}
	return nil
}

// period is a time that is not shorter than the least.
type period struct {
	pflag.Value
	p     *time.Duration
	least time.Duration
}

// Set implements pflag.Value.
func (v period) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "%q is not a time like 90s, 30m or 720h", text)
	}
	if d < v.least {
		return openflow.Errorf(openflow.CodeInvalid, "%s is too short", text).WithHint("%s is the least", v.least)
	}
	*v.p = d
	return nil
}

// Cores is a number of cores. 0: none was given.
type Cores int

// Set implements pflag.Value.
func (c *Cores) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return openflow.Errorf(openflow.CodeInvalid, "%q is not a whole number of cores from 1 on", text)
	}
	*c = Cores(n)
	return nil
}

// String implements pflag.Value; nothing is read back from it but the default, which is none.
func (c *Cores) String() string { return strconv.Itoa(int(*c)) }

// Type implements pflag.Value.
func (*Cores) Type() string { return "int" }

// Bytes is an amount of memory, as in 64GiB. 0: none was given.
type Bytes int64

// leastBytes is less than any job can use: whoever gives less has left out the unit.
const leastBytes = 1 << 20

// Set implements pflag.Value.
func (b *Bytes) Set(text string) error {
	n, err := openflow.ParseBytes(text)
	if err == nil && n < leastBytes {
		err = openflow.Errorf(openflow.CodeInvalid, "%s is not enough", text).WithHint("give the unit, as in 64GiB; %s is the least", openflow.FormatBytes(leastBytes))
	}
	if err == nil {
		*b = Bytes(n)
	}
	return err
}

// String implements pflag.Value; nothing is read back from it but the default, which is none.
func (b *Bytes) String() string {
	if *b == 0 {
		return ""
	}
	return openflow.FormatBytes(int64(*b))
}

// Type implements pflag.Value.
func (*Bytes) Type() string { return "bytes" }

// Level is how much is logged.
type Level slog.Level

// Set implements pflag.Value.
func (l *Level) Set(text string) error {
	if (*slog.Level)(l).UnmarshalText([]byte(text)) != nil {
		return openflow.Errorf(openflow.CodeInvalid, "%q is none of debug, info, warn and error", text)
	}
	return nil
}

// String implements pflag.Value.
func (l *Level) String() string { return strings.ToLower(slog.Level(*l).String()) }

// Type implements pflag.Value.
func (*Level) Type() string { return "string" }
