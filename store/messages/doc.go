// Package messages is the node's short-lived shared state behind one interface: the queues between the containers of a
// task, and the nonces of signed requests that have been seen.
//
// It names the contract only and knows no technology; store/messages/sqlite keeps it in one process on one disk. Wire forms
// live in sdk/wire/ptp, who may reach which queue is the server's business. Every implementation passes
// store/messages/storetest, which is the executable form of the comments here. Start reading at [Store].
//
// Spec: interop-transport §6, §8.
package messages
