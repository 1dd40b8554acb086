// Package credit makes the data set of the demo: customers of a lender (the guest, who knows who defaulted) and of a
// bank (the host). Partly they are the same people, and a known signal is split between both sides.
//
// The data are invented. The same seed and sizes give the same bytes, on one kind of processor. Start at Generate.
package credit

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"

	"openflow"
)

// Sizes of the demo: 12,000 customers a side, 8,000 of them shared.
const (
	GuestRows = 12_000
	HostRows  = 12_000
	Shared    = 8_000
)

// Table is one side's data, ready to be written as CSV: a header, then a line per customer, in random order. Features
// are standardised over the table and printed with six decimals.
type Table struct {
	header []string
	ids    []string
	labels []int // nil at the host
	values [][]float64
}

// column is one feature: how a customer's value comes about, and how much a standard deviation of it adds to the
// log-odds of default.
type column struct {
	name   string
	weight float64
	shape  func(z float64) float64
}

func normal(z float64) float64    { return z }
func lognormal(z float64) float64 { return math.Exp(z / 2) }
func count(z float64) float64     { return math.Floor(math.Exp((z + 1) / 1.5)) }

var guestColumns = []column{
	{"age", -0.35, normal},
	{"income", -0.60, lognormal},
	{"employment_years", -0.40, lognormal},
	{"loan_amount", 0.45, lognormal},
	{"loan_term", 0.25, normal},
	{"debt_ratio", 0.55, normal},
	{"open_credit_lines", 0.05, count},
	{"inquiries", 0.35, count},
	{"dependents", 0.10, count},
	{"owns_home", -0.20, normal},
}

var hostColumns = []column{
	{"balance", -0.55, lognormal},
	{"savings", -0.35, lognormal},
	{"monthly_inflow", -0.40, lognormal},
	{"monthly_outflow", 0.30, lognormal},
	{"card_utilisation", 0.60, normal},
	{"late_payments", 0.70, count},
	{"overdraft_days", 0.45, count},
	{"account_age", -0.15, lognormal},
	{"standing_orders", -0.05, count},
	{"foreign_payments", 0.00, count},
}

// intercept makes about a quarter of the customers default.
const intercept = -1.6

// Generate makes both tables: guestIDs and hostIDs rows, overlap of them about the same customers. Errors: CodeInvalid
// for sizes that cannot be.
func Generate(seed int64, guestIDs, hostIDs, overlap int) (guest, host *Table, err error) {
	if guestIDs < 1 || hostIDs < 1 || overlap < 0 || overlap > min(guestIDs, hostIDs) {
		return nil, nil, openflow.Errorf(openflow.CodeInvalid, "%d and %d customers cannot share %d", guestIDs, hostIDs, overlap)
	}
	r := rand.New(rand.NewPCG(uint64(seed), 0x637265646974)) // any stream that is the demo's own
	customers := guestIDs + hostIDs - overlap
	ids := identifiers(r, customers)
	g, h, y := people(r, customers)

	// Customers 0…guestIDs−1 are the guest's, the last hostIDs are the host's, so `overlap` in the middle are both's.
	guest = newTable(r, append([]string{"id", "y"}, names(guestColumns)...), ids[:guestIDs], y[:guestIDs], g[:guestIDs])
	host = newTable(r, append([]string{"id"}, names(hostColumns)...), ids[customers-hostIDs:], nil, h[customers-hostIDs:])
	return guest, host, nil
}

func names(columns []column) []string {
	var list []string
	for _, c := range columns {
		list = append(list, c.name)
	}
	return list
}

// identifiers draws distinct customer numbers in no order.
func identifiers(r *rand.Rand, n int) []string {
	seen := make(map[int]bool, n)
	ids := make([]string, 0, n)
	for len(ids) < n {
		k := 10_000_000 + r.IntN(90_000_000)
		if !seen[k] {
			seen[k] = true
			ids = append(ids, "c"+strconv.Itoa(k))
		}
	}
	return ids
}

// people draws every customer's values at both sides and whether they default. A common factor, the customer's means,
// correlates the columns.
func people(r *rand.Rand, n int) (guest, host [][]float64, defaulted []int) {
	for range n {
		means := r.NormFloat64()
		odds := intercept
		draw := func(columns []column) []float64 {
			row := make([]float64, len(columns))
			for i, c := range columns {
				z := 0.9*r.NormFloat64() + 0.3*math.Copysign(means, -c.weight*means)
				row[i] = c.shape(z)
				odds += c.weight * z
			}
			return row
		}
		guest, host = append(guest, draw(guestColumns)), append(host, draw(hostColumns))
		y := 0
		if r.Float64() < 1/(1+math.Exp(-odds)) {
			y = 1
		}
		defaulted = append(defaulted, y)
	}
	return guest, host, defaulted
}

// newTable shuffles the rows and standardises the columns.
func newTable(r *rand.Rand, header, ids []string, labels []int, values [][]float64) *Table {
	t := &Table{header: header}
	for _, i := range r.Perm(len(ids)) {
		t.ids, t.values = append(t.ids, ids[i]), append(t.values, values[i])
		if labels != nil {
			t.labels = append(t.labels, labels[i])
		}
	}
	for j := range t.values[0] {
		t.standardise(j)
	}
	return t
}

// standardise gives column j mean 0 and variance 1, and pulls values beyond five deviations back to five.
func (t *Table) standardise(j int) {
	var sum, squares float64
	for _, row := range t.values {
		sum += row[j]
	}
	mean := sum / float64(len(t.values))
	for _, row := range t.values {
		squares += (row[j] - mean) * (row[j] - mean)
	}
	deviation := math.Sqrt(squares / float64(len(t.values)))
	if deviation == 0 {
		deviation = 1
	}
	for _, row := range t.values {
		row[j] = max(-5, min(5, (row[j]-mean)/deviation))
	}
}

// Rows is the number of customers.
func (t *Table) Rows() int { return len(t.ids) }

// Header lists the columns: id, at the guest y, then the features.
func (t *Table) Header() []string { return t.header }

// WriteTo writes the table as CSV.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	out := &counter{w: bufio.NewWriter(w)}
	for i, name := range t.header {
		out.print(map[bool]string{true: "", false: ","}[i == 0] + name)
	}
	for i, id := range t.ids {
		out.print("\n" + id)
		if t.labels != nil {
			out.print("," + strconv.Itoa(t.labels[i]))
		}
		for _, v := range t.values[i] {
			out.print("," + strconv.FormatFloat(v, 'f', 6, 64))
		}
	}
	out.print("\n")
	if err := out.w.Flush(); err != nil {
		return out.n, fmt.Errorf("data set could not be written: %w", err)
	}
	return out.n, nil
}

// counter writes text; a bufio.Writer keeps the first error for Flush.
type counter struct {
	w *bufio.Writer
	n int64
}

func (c *counter) print(s string) {
	n, _ := c.w.WriteString(s) // the error stays for Flush
	c.n += int64(n)
}
