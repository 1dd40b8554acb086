-- Other servers of an institution and what they serve, as users of FATE-Flow's registry keep them. The node calls none of them.

-- +goose Up
create table server (
  name        text not null, -- upper case
  host        text not null,
  port        bigint not null,
  protocol    text not null,
  create_time bigint not null,
  update_time bigint not null,
  primary key (name)
);

create table server_service (
  server      text not null,
  name        text not null, -- upper case
  url         text not null,
  method      text not null,
  params      text not null, -- JSON
  data        text not null, -- JSON
  headers     text not null, -- JSON
  create_time bigint not null,
  update_time bigint not null,
  primary key (server, name)
);
