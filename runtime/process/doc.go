// Package process is the driver.Runtime for machines without Docker: every container is a plain process.
//
// It isolates nothing. The program has the node's user, file system and network, and Spec.Limits are not enforced;
// what it should not exceed it has to be told, in its environment. A node that serves parties who do not trust each
// other's algorithms uses docker/engine.
//
// A container is a folder (see folder). Its program runs under a supervisor, a few lines of /bin/sh in a session of
// their own, which outlives the node and writes the exit code to a file. So a node that comes back, also after kill -9,
// adopts what it finds; supervisor.go tells why no crash can start a program twice. A service manager must be told to
// end only the node's main process (systemd: KillMode=process), or it ends the programs too.
//
// Linux only: it rests on pidfd (5.3), inotify and open file description locks. The folder must be on a local file
// system. Start reading at [New], then runtime.go.
package process
