// Package osv finds known vulnerabilities of the parts of an image in a folder of records in OSV's format, without a network.
//
// [Folder.Match] reads the folder once for a list of parts. [Folder.State] tells cheaply whether it would find the same again.
// Which severity stops what is the site's to say: see site/approval.
package osv
