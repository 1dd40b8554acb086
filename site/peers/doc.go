// Package peers knows who the peers of a site are: their records, how each is called and believed, and what ends when one
// goes.
//
// Register keeps the list, Directory finds the services of a party, and Keys and Signer prove who speaks. Farewell ends
// what is shared with a peer that leaves, and Leases what a peer does not drive any more. Pace bounds how much a peer may call.
package peers
