// Package peers knows who the peers of a site are: their records, how each is called and believed, and what ends when one
// goes.
//
// Register keeps the list, Directory finds the services of a party, Keys and Signer prove who speaks, and Farewell ends
// what is shared with a peer that leaves.
package peers
