package evaluation

import "math"

func mse(d data) (float64, error) {
	sum := 0.0
	for i, y := range d.labels {
		sum += (y - d.scores[i]) * (y - d.scores[i])
	}
	return sum / float64(len(d.labels)), nil
}

func rmse(d data) (float64, error) {
	m, err := mse(d)
	return math.Sqrt(m), err
}

func mae(d data) (float64, error) {
	sum := 0.0
	for i, y := range d.labels {
		sum += math.Abs(y - d.scores[i])
	}
	return sum / float64(len(d.labels)), nil
}

// r2 is 1 − SSres/SStot. Labels that are all equal have no variance to explain: 1 for perfect predictions, else 0, as
// in scikit-learn.
func r2(d data) (float64, error) {
	mean := 0.0
	for _, y := range d.labels {
		mean += y / float64(len(d.labels))
	}
	residual, total := 0.0, 0.0
	for i, y := range d.labels {
		residual += (y - d.scores[i]) * (y - d.scores[i])
		total += (y - mean) * (y - mean)
	}
	switch {
	case total != 0:
		return 1 - residual/total, nil
	case residual == 0:
		return 1, nil
	}
	return 0, nil
}
