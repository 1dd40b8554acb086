// Package trust proves who is calling: other nodes by signed requests, task containers by credentials of their own task,
// users by a token.
//
// Every request between sites is signed with the node's Ed25519 key over everything that gives it a meaning, including
// whom it is for, and is good once, within a minute. So the caller's party is known from the key and never taken from a
// body. Keys are exchanged once, by people. What a known caller may do is not decided here but by grants (package
// catalogue).
//
// Secrets live in files of the node's home folder that nobody else may read. Start reading at [Signer] and [Verifier];
// sign.go says what is signed.
package trust
