-- Of release 0.2.0: how calls get to a peer.

-- +goose Up
alter table site add column way text not null default ''; -- empty: direct
