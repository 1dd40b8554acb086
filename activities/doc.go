// Package activities does what workflows decide. Each activity is idempotent, because Temporal may run it twice.
//
// [Scheduling] calls partners for a job workflow; [Running] runs one task's container for a task workflow and reports
// its end; [Choosing] and [Placing] find a machine for it in the site's pool. They get their dependencies as interfaces
// of the domain and hold no state between calls but what a [Machine] counts. Errors cross to the workflow through
// errors.go and nowhere else.
package activities
