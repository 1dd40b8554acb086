package lr_test

import "math"

// reduce is lattice reduction after Lenstra, Lenstra and Lovász, with deep insertions: it makes the rows of b short, in
// place. The rows are real numbers; the sizes here need no more than float64.
func reduce(b [][]float64, delta float64) {
	n := len(b)
	mu, norm := make([][]float64, n), make([]float64, n)
	star := make([][]float64, n)
	for i := range mu {
		mu[i] = make([]float64, n)
	}
	inner := func(x, y []float64) float64 {
		s := 0.0
		for i := range x {
			s += x[i] * y[i]
		}
		return s
	}
	orthogonalize := func(k int) {
		star[k] = append(star[k][:0], b[k]...)
		for j := range k {
			mu[k][j] = inner(b[k], star[j]) / norm[j]
			for i := range star[k] {
				star[k][i] -= mu[k][j] * star[j][i]
			}
		}
		norm[k] = inner(star[k], star[k])
	}
	for k := 0; k < n; {
		orthogonalize(k)
		for j := k - 1; j >= 0; j-- {
			if q := math.Round(mu[k][j]); q != 0 {
				for i := range b[k] {
					b[k][i] -= q * b[j][i]
				}
				for i := range j {
					mu[k][i] -= q * mu[j][i]
				}
				mu[k][j] -= q
			}
		}
		orthogonalize(k)
		// Where does row k shorten a row before it?
		rest, at := inner(b[k], b[k]), 0
		for ; at < k && rest >= delta*norm[at]; at++ {
			rest -= mu[k][at] * mu[k][at] * norm[at]
		}
		if at == k {
			k++
			continue
		}
		row := b[k]
		copy(b[at+1:k+1], b[at:k])
		b[at] = row
		k = at
	}
}

// labelsByReduction is a host's attack with lattice reduction: among the whole combinations of rows that come near what
// the gradient says, the labels are the shortest. False when reduction does not find them.
func labelsByReduction(x [][]float64, sums []float64, precision float64) ([]float64, bool) {
	rows, columns := len(x[0]), len(x)
	basis := make([][]float64, rows+1)
	for i := range basis {
		basis[i] = make([]float64, rows+1+columns)
		if i < rows {
			basis[i][i] = 2
			for j := range columns {
				basis[i][rows+1+j] = 2 * precision * x[j][i]
			}
			continue
		}
		for k := range rows {
			basis[i][k] = -1
		}
		basis[i][rows] = 1
		for j := range columns {
			s := sums[j]
			for _, v := range x[j] {
				s += v
			}
			basis[i][rows+1+j] = -precision * s
		}
	}
	reduce(basis, 0.99)
	for _, b := range basis {
		found := math.Abs(math.Abs(b[rows])-1) < 1e-6
		for _, v := range b[:rows] {
			found = found && math.Abs(math.Abs(v)-1) < 1e-6
		}
		for _, v := range b[rows+1:] {
			found = found && math.Abs(v) < float64(rows)
		}
		if found {
			y := make([]float64, rows)
			for i := range y {
				y[i] = math.Round(b[i] / b[rows])
			}
			return y, true
		}
	}
	return nil, false
}
