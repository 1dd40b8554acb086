package he

// Unbounded lets a open whatever is asked, for benchmarks, and for attacks that are to succeed.
func Unbounded(a *Authority) { a.told = -1 << 40 }

// KeyBits is what one key may tell of itself.
const KeyBits = keyBits
