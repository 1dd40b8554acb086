package plan_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/workflows/plan"
)

func TestStoppingReason(t *testing.T) {
	parties := []openflow.Party{host, guest}
	require.Equal(t, "why", plan.StoppingReason(openflow.JobCanceled, "why", nil))
	require.Equal(t, "why; stopping at 10000 (host), 9999 (guest) until it is confirmed", plan.StoppingReason(openflow.JobFailed, "why", parties))
	require.Empty(t, plan.StoppingReason(openflow.JobSuccess, "", parties), "nothing runs")
	require.Equal(t, "why; never confirmed by 10000 (host)", plan.UnconfirmedReason(openflow.JobCanceled, "why", parties[:1]))
	require.Empty(t, plan.UnconfirmedReason(openflow.JobSuccess, "", parties))
}

// jobOf is a job of these parties, which party 9999 has submitted.
func jobOf(parties ...openflow.Party) openflow.JobPlan {
	return openflow.JobPlan{ID: "J", Scheduler: "9999", Initiator: "9999", Parties: parties}
}

// Who hears with the end of the job of which tasks.
func TestLastWords(t *testing.T) {
	failedEnd := plan.Ending{Status: openflow.JobFailed, Reason: "why"}
	for name, tc := range map[string]struct {
		again bool
		play  func(*script)
		end   plan.Ending
		want  []string // of the guest
	}{
		"nothing has started": {
			false, func(*script) {}, failedEnd, []string{"a canceled 0", "b canceled 0"},
		},
		"nothing of a rerun has started": {true, func(*script) {}, failedEnd, nil},
		"a run goes on, and the next has not started": {
			false, func(s *script) { s.next(summary{Starts: []string{"a 9999", "a 10000"}}); s.answer(nil) }, failedEnd, []string{"a canceled 0"},
		},
		"the news is on its way": {
			false, func(s *script) {
				s.next(summary{Starts: []string{"a 9999", "a 10000"}})
				s.answer(nil)
				s.ends("a", success, guest, host)
				s.next(summary{Starts: []string{"b 9999"}, Carried: []string{"a 9999"}, Tells: []string{"a 10000"}})
			}, failedEnd, []string{"a success 50", "b canceled 0"},
		},
		"the news has arrived": {
			false, func(s *script) {
				s.next(summary{Starts: []string{"a 9999", "a 10000"}})
				s.answer(nil)
				s.ends("a", success, guest, host)
				s.next(summary{Starts: []string{"b 9999"}, Carried: []string{"a 9999"}, Tells: []string{"a 10000"}})
				s.answer(nil)
			}, failedEnd, []string{"b canceled 0"},
		},
		"success": {
			false, func(s *script) {
				s.next(summary{Starts: []string{"a 9999", "a 10000"}})
				s.answer(nil)
				s.ends("a", success, guest, host)
				s.next(summary{Starts: []string{"b 9999"}, Carried: []string{"a 9999"}, Tells: []string{"a 10000"}})
				s.answer(nil)
				s.ends("b", success, guest)
				s.next(summary{End: openflow.JobSuccess})
			}, plan.Ending{Status: openflow.JobSuccess}, []string{"b success 0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := play(t, 0, at("a", guest, host), after(at("b", guest), "a"))
			tc.play(s)
			job := jobOf(guest, host)
			job.Again = tc.again
			order := plan.NewFarewell(job, s.x, plan.Creation{}, tc.end).Order(guest)
			require.Equal(t, tc.end.Status, order.Status)
			require.Equal(t, tc.end.Reason, order.Reason)
			var got []string
			for _, u := range order.Tasks {
				got = append(got, fmt.Sprintf("%s %s %d", u.Key.Task, u.Status, u.Progress))
			}
			require.Equal(t, tc.want, got)
		})
	}
}

// What waits for cores when the job ends has not been started, and that is a consequence. What is being asked may start.
func TestStartsAtTheEnd(t *testing.T) {
	s := play(t, 0, at("a", guest, host))
	s.next(summary{Starts: []string{"a 9999", "a 10000"}})
	s.x.Answered(s.c.Start[0], errBusy)
	f := plan.NewFarewell(jobOf(guest, host), s.x, plan.Creation{}, plan.Ending{Status: openflow.JobCanceled, Reason: "enough"})
	require.Equal(t, failed, s.s.Find("a").ByParty[0])
	require.Equal(t, running, s.s.Find("a").ByParty[1])
	require.True(t, s.x.Starting())
	require.False(t, s.x.Waits(errBusy), "nothing is started any more")
	waits := plan.Answer{Report: report("a", host, waiting)}
	end, again := f.Weigh(waits)
	require.Empty(t, end, "its start is on the way")
	require.False(t, again)
	s.x.Answered(s.c.Start[1], errNo)
	require.Equal(t, failed, s.s.Find("a").ByParty[1])
	end, _ = f.Weigh(waits)
	require.Equal(t, canceled, end)
	require.Equal(t, "enough", f.Reason())
}

// What follows from the answer about a run that should have ended.
func TestWeigh(t *testing.T) {
	for name, tc := range map[string]struct {
		answer plan.Answer
		end    openflow.TaskStatus
		again  bool
	}{
		"it has ended":            {plan.Answer{Report: report("a", host, canceled)}, canceled, false},
		"it has succeeded":        {plan.Answer{Report: report("a", host, success)}, success, false},
		"it runs":                 {plan.Answer{Report: report("a", host, running)}, "", true},
		"it has never begun":      {plan.Answer{Report: report("a", host, waiting)}, canceled, false},
		"no answer":               {plan.Answer{Report: report("a", host, ""), Failed: true}, "", false},
		"nobody knows it":         {plan.Answer{Report: report("a", host, ""), Failed: true, Unknown: true}, canceled, false},
		"its party is no peer":    {plan.Answer{Failed: true, Unknown: true}, canceled, false},
		"no answer, and it waits": {plan.Answer{Report: report("a", host, waiting), Failed: true}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := play(t, 0, at("a", host))
			s.next(summary{Starts: []string{"a 10000"}})
			s.answer(nil)
			f := plan.NewFarewell(jobOf(host), s.x, plan.Creation{}, plan.Ending{Status: openflow.JobCanceled})
			end, again := f.Weigh(tc.answer)
			require.Equal(t, tc.end, end)
			require.Equal(t, tc.again, again)
		})
	}
}

// The end of a job as people read it: at once, while parties do not answer, and when the last one has.
func TestFarewell(t *testing.T) {
	s := play(t, 0, at("a", guest, host))
	s.next(summary{Starts: []string{"a 9999", "a 10000"}})
	s.answer(nil)
	f := plan.NewFarewell(jobOf(guest, host, third), s.x, plan.Creation{}, plan.Ending{Status: openflow.JobCanceled, Reason: "enough"})
	f.Answered(guest, true, "")
	f.Answered(host, false, openflow.CodeUnavailable)
	f.Answered(third, true, "")
	require.Equal(t, []openflow.Party{host}, f.Absent())
	require.Equal(t, []openflow.TaskKey{key("a", guest)}, f.Questions(), "nobody asks who has not heard of the end")
	require.Equal(t, openflow.Stopped{
		Status: openflow.JobCanceled, Reason: "enough; stopping at 9999 (guest), 10000 (host) until it is confirmed", Stopping: []openflow.Party{guest, host},
	}, f.Standing())

	require.Equal(t, plan.Explanation{Reason: f.Standing().Reason, Record: true}, f.Explain(false), "the record alone, at first")
	require.Equal(t, plan.Explanation{Reason: f.Standing().Reason, Tell: []openflow.Party{guest, third}}, f.Explain(true),
		"it is no news to the record, but it is to those who wait")
	require.Equal(t, plan.Explanation{Reason: f.Standing().Reason}, f.Explain(true), "it is no news any more")
	before := f.Standing()
	require.False(t, f.Changed(before))
	f.Report(report("a", guest, canceled))
	require.True(t, f.Changed(before))
	e := f.Explain(true)
	require.Equal(t, plan.Explanation{
		Reason: "enough; stopping at 10000 (host) until it is confirmed", Record: true, Tell: []openflow.Party{guest, third},
	}, e)
	before = f.Standing()
	f.Acknowledged(host)
	require.False(t, f.Changed(before), "its run goes on")
	require.False(t, f.Over())
	require.Equal(t, []openflow.TaskKey{key("a", host)}, f.Questions())
	f.Report(report("a", host, canceled))
	require.True(t, f.Over())
	require.Empty(t, f.Close())
	require.Equal(t, plan.Explanation{Reason: "enough", Record: true, Tell: []openflow.Party{guest, host, third}}, f.Explain(true))
}

func TestFarewellWithoutTheLastWord(t *testing.T) {
	for status, want := range map[openflow.JobStatus]string{openflow.JobFailed: "why; never confirmed by 10000 (host)", openflow.JobSuccess: ""} {
		x, _ := execution(0, at("a", guest))
		end := plan.Ending{Status: status}
		if status != openflow.JobSuccess {
			end.Reason = "why"
		}
		f := plan.NewFarewell(jobOf(guest, host), x, plan.Creation{}, end)
		f.Answered(guest, true, "")
		f.Answered(host, false, openflow.CodeUnavailable)
		require.Equal(t, []openflow.Party{host}, f.Close())
		require.Equal(t, want, f.Reason())
		require.True(t, f.Over(), "there is no use in waiting")
	}
}

// A party that has refused the job need not hear of its end, unless it might have something of it after all.
func TestFarewellOfAStranger(t *testing.T) {
	no := openflow.AtParty("10000", openflow.Errorf(openflow.CodeNotFound, "no table credit/payroll"))
	c := plan.Created(jobOf(guest, host, third), nil, []error{nil, no, nil})
	x, _ := execution(0, at("a", guest))
	f := plan.NewFarewell(jobOf(guest, host, third), x, c, c.End())
	for code, absent := range map[openflow.Code]bool{openflow.CodeUnauthorized: false, openflow.CodeUnavailable: true} {
		f.Answered(guest, true, "")
		f.Answered(third, false, openflow.CodeUnauthorized)
		f.Answered(host, false, code)
		require.Equal(t, absent, len(f.Absent()) == 2, code)
		require.Contains(t, f.Absent(), third)
	}
	require.Contains(t, f.Order(guest).Reason, "payroll", "who has submitted it")
	require.Contains(t, f.Order(host).Reason, "payroll", "who refuses it")
	require.Equal(t, "not all parties accepted the job (not_found); party 9999, which submitted it, knows more", f.Order(third).Reason)
}

// A cause that becomes known after the end corrects the reason, and those hear it who have read another one.
func TestCauseAfterTheEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		blames    bool
		corrected bool
	}{"a failed run": {true, true}, "a stop": {false, false}} {
		t.Run(name, func(t *testing.T) {
			s := play(t, 0, at("a", guest, host))
			s.next(summary{Starts: []string{"a 9999", "a 10000"}})
			s.answer(nil)
			follows := report("a", guest, failed)
			follows.Cause = openflow.Cause{Code: openflow.CodeCanceled, Text: "session ended", Consequence: true}
			s.x.Report(follows)
			s.next(summary{End: openflow.JobFailed})
			end := s.c.End
			if !tc.blames {
				end = plan.Ending{Status: openflow.JobCanceled, Reason: "enough"}
			}
			f := plan.NewFarewell(jobOf(guest, host), s.x, plan.Creation{}, end)
			f.Answered(guest, true, "")
			f.Answered(host, false, openflow.CodeUnavailable)
			f.Explain(true)
			require.False(t, f.Corrected())
			cause := report("a", host, failed)
			cause.Cause = openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows"}
			f.Report(cause)
			require.Equal(t, tc.corrected, f.Corrected())
			f.Acknowledged(host)
			told := f.Explain(false).Tell
			if tc.corrected {
				require.Contains(t, f.Reason(), "too few rows")
				require.Equal(t, openflow.CodeInvalid, f.Code())
				require.Equal(t, []openflow.Party{host}, told, "it has acknowledged the other reason")
				require.Empty(t, f.Explain(false).Tell, "once")
			} else {
				require.Equal(t, "enough", f.Reason())
				require.Empty(t, told)
			}
			reason, code := f.Reason(), f.Code()
			f.Close()
			require.Equal(t, reason, f.Reason())
			require.Equal(t, code, f.Code())
		})
	}
}

// A cause that is known before the end is recorded is news to the parties all the same.
func TestCauseBeforeTheRecord(t *testing.T) {
	s := play(t, 0, at("a", guest, host))
	s.next(summary{Starts: []string{"a 9999", "a 10000"}})
	s.answer(nil)
	follows := report("a", guest, failed)
	follows.Cause = openflow.Cause{Code: openflow.CodeCanceled, Text: "session ended", Consequence: true}
	s.x.Report(follows)
	s.next(summary{End: openflow.JobFailed})
	f := plan.NewFarewell(jobOf(guest, host), s.x, plan.Creation{}, s.c.End)
	f.Answered(guest, true, "")
	f.Answered(host, true, "")
	cause := report("a", host, failed)
	cause.Cause = openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows"}
	f.Report(cause)
	require.True(t, f.Explain(false).Record)
	require.True(t, f.Over())
	f.Close()
	e := f.Explain(f.Corrected())
	require.Contains(t, e.Reason, "too few rows")
	require.False(t, e.Record)
	require.Equal(t, []openflow.Party{guest, host}, e.Tell)
}

// Whatever somebody sends by hand, a stop ends the job, and early.
func TestStop(t *testing.T) {
	for status, want := range map[openflow.JobStatus]openflow.JobStatus{
		openflow.JobCanceled: openflow.JobCanceled, openflow.JobTimeout: openflow.JobTimeout, openflow.JobFailed: openflow.JobFailed,
		"": openflow.JobCanceled, openflow.JobRunning: openflow.JobCanceled, openflow.JobSuccess: openflow.JobCanceled, "soon": openflow.JobCanceled,
	} {
		require.Equal(t, plan.Ending{Status: want, Reason: "enough"}, plan.Stop(status, "enough"), status)
	}
}
