package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

// The bodies of fate-flow-api §2.3.1 and §2.2, and what is wrong with them when it is.
func TestDecode(t *testing.T) {
	for name, tc := range map[string]struct {
		body    string
		into    any
		missing wire.MissingFields
		fails   string
	}{
		"job":               {`{"role":"host","party_id":"10000","job_id":"J"}`, &wire.JobRef{}, nil, ""},
		"job, numbers":      {`{"role":"host","party_id":10000,"job_id":202501020304050607080}`, &wire.JobRef{}, nil, ""},
		"job, unknown keys": {`{"role":"host","party_id":"1","job_id":"J","extra_info":{}}`, &wire.JobRef{}, nil, ""},
		"nothing":           {``, &wire.JobRef{}, wire.MissingFields{"job_id", "role", "party_id"}, ""},
		"blanks":            {" \n", &wire.JobRef{}, wire.MissingFields{"job_id", "role", "party_id"}, ""},
		"empty strings":     {`{"role":"","party_id":"1","job_id":"J"}`, &wire.JobRef{}, wire.MissingFields{"role"}, ""},
		"null":              {`{"role":null,"party_id":"1","job_id":"J"}`, &wire.JobRef{}, nil, "role: expected a string, found null"},
		"boolean id":        {`{"role":"host","party_id":true,"job_id":"J"}`, &wire.JobRef{}, nil, "party_id: expected a string, found true"},
		"object id":         {`{"role":"host","party_id":{},"job_id":"J"}`, &wire.JobRef{}, nil, "party_id: expected a string, found {}"},
		"not JSON":          {`role=host`, &wire.JobRef{}, nil, "invalid request body"},
		"a list":            {`[]`, &wire.JobRef{}, nil, "invalid request body: it is a JSON array, and must be an object"},
		"another kind":      {`{"role":7}`, &wire.PartyRef{}, nil, "invalid request body: role is a JSON number, which it must not be"},
		"two documents":     {`{}{}`, &wire.JobRef{}, nil, "invalid request body"},
		"worker status":     {`{"execution_id":"P"}`, &wire.ContainerStatus{}, wire.MissingFields{"status"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := wire.Decode([]byte(tc.body), tc.into)
			if tc.fails == "" && tc.missing == nil {
				require.NoError(t, err)
				return
			}
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			var missing wire.MissingFields
			if tc.missing != nil {
				require.ErrorAs(t, err, &missing)
				require.Equal(t, tc.missing, missing)
				for _, f := range missing {
					require.ErrorContains(t, err, f)
				}
				return
			}
			require.ErrorContains(t, err, tc.fails)
		})
	}
}
