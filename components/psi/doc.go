// Package psi is the component psi: the parties of a task keep the rows whose match id occurs at all of them.
//
// It runs elliptic-curve Diffie–Hellman set intersection between the guest and each host (package blind has the curve).
// The guest decides the intersection. It tells each host which of its rows belong to it, and which sample ids they get.
// An id that is not shared leaves its party only under that party's secret scalar, which is drawn for one run.
// docs/algorithms.md says what each party learns.
//
// Memory grows with the ids, not with the rows. Every party reads its table once for the ids and once more to write the
// result. That is sorted by the guest's sample id, through buckets on disk when it is large (arrange.go).
//
// Start at Component, then guest.go and host.go, which are the two sides of the same conversation.
package psi
