// Package launcher runs components that were written to FATE's contract in the container of their task, as FATE-Flow's wrapper does.
//
// It is a program that is started in the component's place, with what a node tells a container. It prepares the inputs, writes a
// TaskConfig, runs the component as a process of its own, and gives the node what the component has left. Nothing that a
// component does reaches the node but by this program. The node takes it for no better than the component.
package launcher
