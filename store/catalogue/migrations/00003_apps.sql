-- Of release 0.2.0: programs and peers that sign with a token, as FATE-Flow's do.

-- +goose Up
create table app (
  kind        text not null,
  id          text not null,
  name        text not null, -- of a client, or the party
  role        text not null,
  plain       boolean not null,
  token       text not null, -- sealed with a secret that is not in this database
  made_by     text not null,
  create_time bigint not null,
  update_time bigint not null,
  primary key (kind, id, name)
);
