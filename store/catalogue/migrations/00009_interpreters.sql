-- Of release 0.2.0: code that an interpreter runs, as FATE-Flow registers providers.

-- +goose Up
alter table provider add column interpreter text not null default ''; -- what runs the code; empty: it is a program of its own
