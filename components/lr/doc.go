// Package lr is the component coordinated_lr: logistic regression over columns that several parties hold, with an
// arbiter who holds the key.
//
// The guest has the label and maybe columns, and each host has columns. Nobody sees another's features, labels or plain
// gradients. Vectors travel encrypted under the arbiter's key (package he), and every party masks its encrypted
// gradient. The arbiter only decrypts, and each party takes the optimizer's step on its own coefficients. The objective
// is FATE's: the second-order Taylor expansion of the log loss. docs/algorithms.md says what each party learns and what
// breaks that.
//
// One batch of an epoch, with one host, when a key may open all columns:
//
//	arbiter → each   the public key of this batch
//	host → guest     Enc(¼z_h), Enc(Σ⅛z_h² + penalty)        z_h = X_h·w_h
//	guest → host     Enc(¼z_g − ½y)                          z_g = X_g·w_g + b
//	each → arbiter   masked Enc(Xᵀ·what the other sent)      the guest adds Enc(loss)
//	arbiter → each   decryption, flooded with noise
//	each             w ← w − step(gradient of its own columns)
//
// Start at Component; then plan.go (what all parties agree on before the first batch) and exposure.go (what a party
// refuses by its site's policy). The three sides of the conversation above are train_guest.go, train_host.go and
// train_arbiter.go.
package lr
