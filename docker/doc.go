// Package docker turns a run of a task into a container: its name, labels, environment and limits, the same for every
// runtime. The runtimes themselves are in docker/engine, runtime/process and runtime/fake behind runtime/driver.
package docker
