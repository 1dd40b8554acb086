// Package certificates keeps what the listeners of a node show in TLS: certificates of its own making, which it renews before they
// end, and files of an operator, which it reads again when they change.
//
// A file that has changed to something that is no certificate changes nothing: what was shown is shown on, and the doctor tells.
// Start reading at [Own] and [Files].
package certificates
