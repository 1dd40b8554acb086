-- The workers of the site's pool, as they last told of themselves.

-- +goose Up
create table worker (
  machine text primary key,
  name    text not null,
  runtime text not null,
  cores   bigint not null,
  version text not null,
  started bigint not null,
  seen    bigint not null,
  labels  text not null,
  running text not null
);
