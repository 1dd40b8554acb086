package catalogue

import (
	"context"
	"slices"

	"openflow"
)

// JobsWithPartner is a page of the jobs that a filter selects and that another party takes part in, and how many of them
// there are. The parties of a job are in its DAG. So every job that may be one is read, and none is kept but the page.
//
// Spec: fate-flow-api §1.1 #5, with the filter before paging (part 7 #7). Errors: as of JobsWhere.
func (c *Catalogue) JobsWithPartner(ctx context.Context, f JobFilter, partner openflow.PartyID) (jobs []openflow.JobRecord, count int, err error) {
	if err := openflow.CheckIdentifier("partner", string(partner)); err != nil {
		return nil, 0, err
	}
	w := f.where()
	w.add("dag like ?", `%"`+string(partner)+`"%`) // an underscore finds too many, which are looked at below
	by := f.OrderBy
	if by == "" {
		by = "create_time"
	}
	tail, err := ordered("jobs", jobOrders, by, f.Ascending, f.After, jobTie, 0, 0)
	if err != nil {
		return nil, 0, err
	}
	err = c.each(ctx, "select "+jobColumns.names+" from job"+w.String()+tail, w.args, func(r row) error {
		j, err := scanJob(r)
		if err != nil || j.Party.ID == partner || !slices.ContainsFunc(j.DAG.Parties, func(p openflow.Party) bool { return p.ID == partner }) {
			return err
		}
		if count >= f.Offset && (f.Limit == 0 || len(jobs) < f.Limit) {
			jobs = append(jobs, j)
		}
		count++
		return nil
	})
	return jobs, count, classify("list the jobs with a partner", err)
}
