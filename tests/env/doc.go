// Package env is what the tests of whole nodes stand on: nodes in this process or as programs, and clients of their
// application layer. A proxy between nodes can lose what it carries, and witnesses tell what really ran.
//
// It is imported by tests only and judges nothing itself except that a wait has a deadline. Every wait ends with a
// failed test that says what was seen last. What a test starts ends with the test: nodes are closed, and the tasks that
// outlive them, as they should, are stopped. Start reading at [New].
package env
