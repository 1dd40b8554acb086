// Package policy reads and writes policy.yaml, the file in which the owner of a site's data says what jobs may do with
// them, whoever submits. docs/policy.md has a row for every key; the schema is the tags of openflow.Policy.
//
// A file is read strictly. A key that does not exist, a value of another kind and a number out of bounds are refused
// with their line. A limit that is silently not in force is worse than none. What a file leaves open has its default.
// Start at Read.
package policy
