package wire

import (
	"fmt"

	"openflow"
)

// maxIgnored is how many keys without effect are told of.
const maxIgnored = 50

// ignored collects the keys of a document that have no effect here.
type ignored struct {
	told []string
	more int
}

func (i *ignored) add(path, key string) {
	text := openflow.Cut(path, 200) + ": this key has no effect"
	if remedy := remedyFor(key); remedy != "" {
		text += " (" + remedy + ")"
	}
	i.tell(text)
}

func (i *ignored) tell(text string) {
	if len(i.told) >= maxIgnored {
		i.more++
		return
	}
	i.told = append(i.told, text)
}

// warnings is what the author of the document should know.
func (i *ignored) warnings() []string {
	if i.more == 0 {
		return i.told
	}
	return append(i.told, fmt.Sprintf("%d more keys have no effect", i.more))
}

// remedyFor tells what to write instead of keys that people try, from manuals of FATE's older versions and of others.
func remedyFor(key string) string {
	switch key {
	case "task_cores", "task_cores_per_node":
		return "use dag.conf.cores for the job, dag.conf.task.engine_run.cores for each task"
	case "cores":
		return "inside a task's configuration it is engine_run.cores"
	case "task_parallelism":
		return "tasks that do not wait for each other run at the same time"
	case "engine", "engines", "computing_engine", "federated_mode":
		return "every site chooses its own engine"
	case "task":
		return "did you mean tasks, or dag.conf.task?"
	case "outputs":
		return "a component knows its outputs; tasks name them where they read them"
	case "dataset_id":
		return "use namespace and name"
	}
	return ""
}
