// Package peers knows who the peers of a site are: their records, how each is called and believed, and what ends when one
// goes.
//
// Register keeps the list, Directory finds the services of a party, and Keys and Signer prove who speaks. Farewell ends
// what is shared with a peer that leaves, and Unheard what a peer has ended and never told.
package peers
