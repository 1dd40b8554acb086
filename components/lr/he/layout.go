package he

// Layout says how the rows of a batch fill ciphertexts. Block rows go into one, so that a ciphertext of products has
// room for ringDegree/Block columns; Block is a power of two.
type Layout struct{ Block int }

// Relative costs of a ciphertext of rows, which travels whole and in both directions, and of one of products, of which
// half travels, and only to the arbiter.
const (
	rowCost     = 3
	productCost = 2
)

// NewLayout chooses the cheapest block for batches of that many rows when the parties have those numbers of columns.
func NewLayout(rows int, columns []int) Layout {
	best, bestCost := Layout{ringDegree}, 0
	for block := ringDegree; block >= 64; block /= 2 {
		l := Layout{block}
		cost := rowCost * len(columns) * l.Blocks(rows)
		for _, n := range columns {
			cost += productCost * l.Products(n)
		}
		if bestCost == 0 || cost < bestCost {
			best, bestCost = l, cost
		}
	}
	return best
}

// Valid reports whether l is one of the layouts that NewLayout chooses from.
func (l Layout) Valid() bool {
	return l.Block >= 64 && l.Block <= ringDegree && l.Block&(l.Block-1) == 0
}

// Blocks is the number of ciphertexts that rows fill.
func (l Layout) Blocks(rows int) int { return (rows + l.Block - 1) / l.Block }

// PerProduct is the number of columns whose inner products share a ciphertext.
func (l Layout) PerProduct() int { return ringDegree / l.Block }

// Products is the number of ciphertexts that the inner products with that many columns fill.
func (l Layout) Products(columns int) int { return (columns + l.PerProduct() - 1) / l.PerProduct() }

// columnsIn is the number of columns in product p of them.
func (l Layout) columnsIn(p, columns int) int { return min(l.PerProduct(), columns-p*l.PerProduct()) }

// entries bounds the number of non-zero coefficients that meet in one ciphertext of products.
func (l Layout) entries(rows, columns int) int { return rows * min(l.PerProduct(), columns) }
