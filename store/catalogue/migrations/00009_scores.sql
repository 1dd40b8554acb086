-- How many score vectors partners were told about the content of a table, one row per run; and limits that the operator has
-- raised. Rows outlive their jobs and tables.

-- +goose Up
create table score (
  partner      text not null,
  object       text not null,
  execution_id text not null,
  columns      bigint not null,
  vectors      bigint not null,
  time         bigint not null,
  primary key (partner, object, execution_id)
);
create index score_time on score (time);
create table score_raise (
  partner text not null,
  object  text not null,
  vectors bigint not null,
  primary key (partner, object)
);
