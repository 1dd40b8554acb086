// Package demo runs the main job on this machine: three nodes as separate processes, generated data, the pipeline
// reader → psi → coordinated_lr → evaluation, and what came out of it.
//
// It uses nodes as anybody would: their binary, their HTTP API, keys exchanged once, grants given one by one. Start
// reading at [Run].
package demo
