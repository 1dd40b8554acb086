package lr

import "encoding/json"

// Steps runs the optimizer that the options describe over a sequence of gradients of one coefficient and returns the
// coefficient after each, starting at 0.
func Steps(method, optionsJSON string, lr float64, gradients []float64) ([]float64, error) {
	var o options
	if err := json.Unmarshal([]byte(optionsJSON), &o); err != nil {
		return nil, err
	}
	opt, err := newOptimizer(optimizerSet{Method: method, Options: o}, 1)
	if err != nil {
		return nil, err
	}
	var path []float64
	w := 0.0
	for _, g := range gradients {
		w -= opt.step([]float64{g}, lr)[0]
		path = append(path, w)
	}
	return path, nil
}

// Rates gives the learning rates of the first epochs.
func Rates(method, optionsJSON string, base float64, epochs int) ([]float64, error) {
	var o options
	if err := json.Unmarshal([]byte(optionsJSON), &o); err != nil {
		return nil, err
	}
	s, err := newSchedule(schedulerSet{Method: method, Options: o}, base)
	if err != nil {
		return nil, err
	}
	var rates []float64
	for e := range epochs {
		rates = append(rates, s(e))
	}
	return rates, nil
}

// DecodeNumbers opens a decoder of messages.
func DecodeNumbers(data []byte, n int) ([]float64, error) { return decodeNumbers(data, n) }

// EncodeNumbers is its inverse.
func EncodeNumbers(values []float64) []byte { return encodeNumbers(values) }

// EpochEnd reads the end of an epoch as a party does, and writes it again as the arbiter does.
func EpochEnd(data []byte, withLoss bool) ([]byte, error) {
	e, err := decodeEpochEnd(data, withLoss)
	if err != nil {
		return nil, err
	}
	return e.encode(), nil
}

// ParseModel reads a model as the component does and returns the number of its estimators.
func ParseModel(data []byte) (int, error) {
	var m model
	if err := json.Unmarshal(data, &m); err != nil {
		return 0, err
	}
	list, err := m.estimators()
	return len(list), err
}

// CheckPlan reads a plan as the other parties do and returns its batches' bounds.
func CheckPlan(data []byte) ([][2]int, error) {
	var p plan
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, err
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	var list [][2]int
	for _, b := range p.batches() {
		list = append(list, [2]int{b.lo, b.hi})
	}
	return list, nil
}

// Differs is spread.far of columns with these means and standard deviations.
func Differs(mean, deviation, nowMean, nowDeviation float64, count int) bool {
	return spread{mean, deviation}.differs(spread{nowMean, nowDeviation}, count)
}

// Trend is where a training with these losses was going.
func Trend(converged bool, losses []float64, tol float64) string {
	p := defaults()
	p.Tol = tol
	return map[trend]string{settled: "settled", falling: "falling", rising: "rising"}[outcome{converged: converged, losses: losses}.trend(p)]
}

// Independent is how many of the columns do not follow from the others.
func Independent(columns [][]float64) int {
	return (&rows{columns: columns, order: make([]int, len(columns[0]))}).independent()
}

// Spread is the mean and the standard deviation of values.
func Spread(values []float64) (mean, deviation float64) {
	s := spreadOf(values)
	return s.Mean, s.Deviation
}
