package openflow

import (
	"fmt"
	"strconv"
	"strings"
)

// Resources is an amount of what jobs share at a site. A job takes from the site's capacity, its tasks take from the job.
//
// Spec: fate-flow-api §4.7; memory and GPUs are ours (docs/divergences.md).
type Resources struct {
	Cores  int
	Memory int64 // bytes
	GPUs   int   // whole devices
}

// Minus is what is left of r without o, never less than nothing.
func (r Resources) Minus(o Resources) Resources {
	return Resources{max(r.Cores-o.Cores, 0), max(r.Memory-o.Memory, 0), max(r.GPUs-o.GPUs, 0)}
}

// Plus is both together.
func (r Resources) Plus(o Resources) Resources {
	return Resources{r.Cores + o.Cores, r.Memory + o.Memory, r.GPUs + o.GPUs}
}

// Min is the less of both, of each resource.
func (r Resources) Min(o Resources) Resources {
	return Resources{min(r.Cores, o.Cores), min(r.Memory, o.Memory), min(r.GPUs, o.GPUs)}
}

// Within reports whether have covers r.
func (r Resources) Within(have Resources) bool { return len(r.Short(have)) == 0 }

// Shortage is one resource of which there is not enough, as texts for people: "8 cores", "2".
type Shortage struct {
	Need, Have string
	in         func(Resources) string
}

// In is how much of the resource r has.
func (s Shortage) In(r Resources) string { return s.in(r) }

// What a shortage can be of.
func coresOf(r Resources) string  { return strconv.Itoa(r.Cores) }
func memoryOf(r Resources) string { return FormatBytes(r.Memory) }
func gpusOf(r Resources) string   { return strconv.Itoa(r.GPUs) }

// Short lists the resources of which r needs more than have, cores first.
func (r Resources) Short(have Resources) []Shortage {
	var list []Shortage
	if r.Cores > max(have.Cores, 0) {
		list = append(list, Shortage{plural(r.Cores, "core"), coresOf(have), coresOf})
	}
	if r.Memory > max(have.Memory, 0) {
		list = append(list, Shortage{FormatBytes(r.Memory) + " of memory", memoryOf(have), memoryOf})
	}
	if r.GPUs > max(have.GPUs, 0) {
		list = append(list, Shortage{plural(r.GPUs, "GPU"), gpusOf(have), gpusOf})
	}
	return list
}

// String renders what r holds of each resource: "4 cores, 2GiB of memory, 1 GPU".
func (r Resources) String() string {
	parts := []string{plural(r.Cores, "core")}
	if r.Memory != 0 {
		parts = append(parts, FormatBytes(r.Memory)+" of memory")
	}
	if r.GPUs != 0 {
		parts = append(parts, plural(r.GPUs, "GPU"))
	}
	return strings.Join(parts, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// units are those of ParseBytes, the largest first.
var units = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
}

// ParseBytes reads an amount of memory: a whole number of bytes, or of a unit (KiB, MiB, GiB, TiB; KB, MB, GB, TB) as in
// "4GiB". CodeInvalid: it is not one, is negative, or does not fit 63 bits.
func ParseBytes(text string) (int64, error) {
	digits, size := strings.TrimSpace(text), int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(digits, u.name); ok {
			digits, size = strings.TrimRight(rest, " "), u.size
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(n) > (1<<63-1)/size {
		return 0, Errorf(CodeInvalid, "%q is not an amount of memory", text).WithHint("write bytes, or a unit as in 512MiB or 4GiB")
	}
	return int64(n) * size, nil
}

// FormatBytes renders an amount of memory as ParseBytes reads it: exact when it is whole in a binary unit, otherwise with
// one digit after the point, for people.
func FormatBytes(n int64) string {
	for _, u := range units[:4] {
		switch {
		case n != 0 && n%u.size == 0:
			return strconv.FormatInt(n/u.size, 10) + u.name
		case n >= u.size || -n >= u.size:
			return fmt.Sprintf("%.1f%s", float64(n)/float64(u.size), u.name)
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}
