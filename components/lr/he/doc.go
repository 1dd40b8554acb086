// Package he is the homomorphic encryption of the federated regression: vectors encrypted under an arbiter's CKKS key,
// their inner products with plaintext columns, and the arbiter's blind decryption of the results.
//
// A vector fills the coefficients (not the slots) of CKKS plaintexts, so that one product of polynomials has the inner
// product with a column in one coefficient: no rotation, no relinearisation, no evaluation key. What leaves a party for
// the arbiter is that coefficient alone, hidden under a one-time pad modulo Q, beside a second ring element made fresh
// by an encryption of zero. What leaves the arbiter is flooded with noise that hides the ciphertext's own.
//
// It knows nothing of roles, messages or regression. Start at Authority (holds the key) and Party (does not); the
// parameters and the argument for them are in params.go and docs/algorithms.md.
package he
