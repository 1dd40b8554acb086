package workflows_test

import "openflow/activities"

// activityError is the error as a client of the workflow sees it.
func activityError(err error) error { return activities.FromTemporal(err) }
