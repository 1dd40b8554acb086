package plan

import "openflow"

// Creation is how the creation of a job went.
type Creation struct {
	Refusal   error                   // why the job was not created; nil: it was
	Strangers map[openflow.Party]bool // parties that have refused to create it: there is nothing of it there
	Agreement
}

// Created is what the parties' answers to the creation of a job come to, in their order. A job that they create and of which
// they could not run a task together is refused. Nobody has answered a further run with what it speaks.
func Created(j openflow.JobPlan, answers []ReserveAnswer, errs []error) Creation {
	c := Creation{Refusal: refusal(errs), Strangers: map[openflow.Party]bool{}}
	for i, p := range j.Parties {
		c.Strangers[p] = errs[i] != nil && !openflow.CodeOf(errs[i]).Retryable()
	}
	if c.Refusal == nil && !j.Again {
		c.Agreement, c.Refusal = Agree(j.Tasks, answers)
	}
	return c
}

// refusal is what the user is told when parties refuse a job: all that they find wrong with it, unless one refuses for
// another reason.
func refusal(errs []error) error {
	var first error
	var all []openflow.Mistake
	otherwise := false
	for _, err := range errs {
		if err == nil {
			continue
		}
		if first == nil {
			first = err
		}
		mistakes := openflow.MistakesOf(err)
		otherwise = otherwise || len(mistakes) == 0
		all = append(all, mistakes...)
	}
	if otherwise {
		return first
	}
	return openflow.Refusal(all)
}

// End is how a job ends that was not created; none for one that was.
func (c Creation) End() Ending {
	if c.Refusal == nil {
		return Ending{}
	}
	return GivenUp(c.Refusal)
}

// Unbegun tells that the job has failed because a party could not be reached: the same submission may be made again.
func (c Creation) Unbegun() bool { return openflow.CodeOf(c.Refusal) == openflow.CodeUnavailable }
