-- Who provides which components at this site, and whose program a run had.

-- +goose Up
create table provider (
  name     text not null,
  version  text not null,
  kind     text not null,
  place    text not null,
  digest   text not null,
  enabled  boolean not null,
  added_by text not null,
  added_at bigint not null,
  primary key (name, version)
);
create table component (
  name        text not null,
  provider    text not null,
  version     text not null,
  description text not null,
  primary key (name, provider, version)
);
create table component_default (
  component text not null primary key,
  provider  text not null,
  version   text not null
);
alter table task add column program_digest text not null default '';
