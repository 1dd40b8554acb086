package blind

import (
	"crypto/rand"
	"crypto/subtle"
	mathrand "math/rand/v2"

	"filippo.io/nistec"

	"openflow"
)

// Pairs checks a claim of the other party about many pairs of points. It says that each second point is the first times
// one scalar, the same for all of them, and so stands for the same identifier. It asks the other party for the product
// of one more point: a random combination of all first points, times a secret of its own, which says nothing of them.
// What must come back is the same combination of the second points. A claim that is wrong for any pair passes with a
// probability of 2^−64.
//
// A Pairs takes any number of pairs in little memory. Its zero value holds none. Not safe for concurrent use: sum up
// parts and join them.
type Pairs struct {
	mine, theirs sum
	random       *mathrand.ChaCha8
	any          bool
}

// The coefficients of a combination have digits of 8 bits: each pair is added to one bucket of each digit.
const (
	digits = 8
	values = 1 << 8
)

type sum [digits][values]*nistec.P256Point

// Add takes one pair. Errors: CodeInvalid when one of them is no point of the curve.
func (s *Pairs) Add(mine, theirs Point) error {
	if s.random == nil {
		var seed [32]byte
		if _, err := rand.Read(seed[:]); err != nil {
			return openflow.Errorf(openflow.CodeInternal, "no randomness for the check of points: %w", err)
		}
		s.random = mathrand.NewChaCha8(seed)
	}
	p, err := decode(mine)
	if err != nil {
		return err
	}
	q, err := decode(theirs)
	if err != nil {
		return err
	}
	coefficient := s.random.Uint64()
	s.mine.add(coefficient, p)
	s.theirs.add(coefficient, q)
	s.any = true
	return nil
}

func (s *sum) add(coefficient uint64, p *nistec.P256Point) {
	for digit := range digits {
		s.addTo(digit, int(byte(coefficient>>(8*digit))), p)
	}
}

func (s *sum) addTo(digit, value int, p *nistec.P256Point) {
	if s[digit][value] == nil {
		s[digit][value] = nistec.NewP256Point()
	}
	s[digit][value].Add(s[digit][value], p)
}

// Join adds the pairs of o.
func (s *Pairs) Join(o *Pairs) {
	s.mine.join(&o.mine)
	s.theirs.join(&o.theirs)
	s.any = s.any || o.any
}

func (s *sum) join(o *sum) {
	for digit := range digits {
		for value, p := range o[digit] {
			if p != nil {
				s.addTo(digit, value, p)
			}
		}
	}
}

// total is the sum of all points times their coefficients.
func (s *sum) total() *nistec.P256Point {
	total := nistec.NewP256Point()
	for digit := digits - 1; digit >= 0; digit-- {
		for range 8 {
			total.Double(total)
		}
		// Each bucket is added once for every value up to its own.
		running, weighted := nistec.NewP256Point(), nistec.NewP256Point()
		for value := values - 1; value > 0; value-- {
			if p := s[digit][value]; p != nil {
				running.Add(running, p)
			}
			weighted.Add(weighted, running)
		}
		total.Add(total, weighted)
	}
	return total
}

// Answer is what a Question must be answered with.
type Answer struct{ want Point }

// Question is the point whose product the other party is to send, and the answer that shows its claim to be right.
// Without any pair there is no question: CodeInvalid.
func (s *Pairs) Question() (Point, Answer, error) {
	if !s.any {
		return Point{}, Answer{}, openflow.Errorf(openflow.CodeInvalid, "there are no points to check")
	}
	secret, err := NewKey()
	if err != nil {
		return Point{}, Answer{}, err
	}
	question, err := secret.raise(s.mine.total())
	if err != nil {
		return Point{}, Answer{}, err
	}
	want, err := secret.raise(s.theirs.total())
	return question, Answer{want}, err
}

// Check refuses a wrong answer with CodeInvalid.
func (a Answer) Check(given Point) error {
	if subtle.ConstantTimeCompare(a.want[:], given[:]) != 1 {
		return openflow.Errorf(openflow.CodeInvalid, "ids that are claimed to be shared are not")
	}
	return nil
}
