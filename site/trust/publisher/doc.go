// Package publisher reads and makes the signatures with which a publisher vouches for an image or program, in the form of
// minisign. So a publisher needs no program of ours.
//
// [ParseKey] reads a public key. [Measure] takes of a file what a signature is about, and [ImageText] is what is signed of
// an image that is in a daemon. [Verify] says which of several keys has signed. Nothing here knows which keys a site trusts.
//
// Spec: algorithm-image-signature.
package publisher
