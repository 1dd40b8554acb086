// Package blind is the elliptic-curve mathematics of the private set intersection: it hashes identifiers to points of
// NIST P-256 and blinds points with a secret scalar, so that two parties' blindings commute.
//
// Hashing is P256_XMD:SHA-256_SSWU_RO_ of RFC 9380 (simplified SWU, random-oracle variant) and runs in constant time,
// like the scalar multiplication, which is filippo.io/nistec's. The field arithmetic here exists because nistec
// exports points only; nothing else may use it.
//
// It knows nothing of parties, messages or rows. Start reading at Key.
package blind
