// Package storetest is the conformance suite of messages.Store: what its comments promise, as tests that every
// implementation runs.
//
// An implementation describes how it is opened in a [Harness], calls [Run] from one test and [Main] from TestMain; the
// latter turns the test binary into the victim process of the kill tests. What only one implementation has, such as
// files, it tests beside itself.
package storetest
