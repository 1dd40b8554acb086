package openflow

import "time"

// Event says that a job, or a task of it, has changed at a party of this site, or that a component has. It is a notice for
// people and programs that follow; the rows are the truth. Nothing in it is secret.
type Event struct {
	ID        string // its place in the order of all events, given by the store that keeps it
	At        time.Time
	Scheduler PartyID
	Job       JobID
	Party     Party    // whose row has changed
	Task      TaskName // empty: the job itself
	Version   int      // of the task
	Status    string   // a JobStatus, or the party's TaskStatus; empty: as before
	Reason    string   // why it waits or ended so, for people; may be empty
	Progress  *int     // of the job, in percent; nil: as before

	// Of a component, of which Status is the ComponentState; empty: it was removed. The event is of no job.
	Component string
	Provider  string // "name:version"
}
