// Package fateflow is the dialect of FATE-Flow v2: what its containers are told, its paths, its envelope, and its own
// sequence of calls between nodes.
package fateflow
