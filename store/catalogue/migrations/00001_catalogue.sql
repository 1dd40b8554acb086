-- One dialect for SQLite and PostgreSQL: text, bigint, boolean; times are milliseconds, 0 is "not yet"; JSON is text.
-- Long texts come last in a row: SQLite then reads the columns before them without following overflow pages.

-- +goose Up
create table meta (
  name  text primary key,
  value text not null
);

create table pool (
  name text primary key,
  used bigint not null
);
insert into pool (name, used) values ('cores', 0);

create table job (
  scheduler       text not null,
  job_id          text not null,
  role            text not null,
  party           text not null,
  initiator       text not null,
  status          text not null,
  progress        bigint not null,
  cores           bigint not null,
  remaining_cores bigint not null,
  resource_in_use boolean not null,
  waiting_since   bigint not null,
  model_id        text not null,
  model_version   text not null,
  user_name       text not null,
  idempotency_key text not null,
  create_time     bigint not null,
  update_time     bigint not null,
  start_time      bigint not null,
  end_time        bigint not null,
  apply_time      bigint not null,
  return_time     bigint not null,
  reason          text not null,
  notes           text not null,
  dag             text not null,
  primary key (job_id, role, party, scheduler)
);
create index job_created on job (create_time, job_id, role, party, scheduler);

create table scheduled_job (
  job_id          text primary key,
  initiator       text not null,
  status          text not null,
  progress        bigint not null,
  priority        bigint not null,
  idempotency_key text not null,
  submit_hash     text not null,
  user_name       text not null,
  create_time     bigint not null,
  update_time     bigint not null,
  start_time      bigint not null,
  end_time        bigint not null,
  reason          text not null,
  dag             text not null
);
create unique index scheduled_job_idempotency on scheduled_job (initiator, idempotency_key) where idempotency_key <> '';
create index scheduled_job_waiting on scheduled_job (priority desc, create_time, job_id) where status = 'waiting';
create index scheduled_job_created on scheduled_job (create_time, job_id);

create table task (
  execution_id    text primary key,
  job_id          text not null,
  task_name       text not null,
  version         bigint not null,
  role            text not null,
  party           text not null,
  scheduler       text not null,
  sync_type       text not null,
  component       text not null,
  provider        text not null,
  status          text not null,
  party_status    text not null,
  reported        text not null,
  stop_status     text not null,
  cores           bigint not null,
  memory_bytes    bigint not null,
  resource_in_use boolean not null,
  killed          boolean not null,
  runtime         text not null,
  container_name  text not null,
  exit_code       bigint,
  log_digest      text not null,
  create_time     bigint not null,
  update_time     bigint not null,
  start_time      bigint not null,
  end_time        bigint not null,
  reason          text not null,
  error_report    text not null,
  spec            text not null
);
create index task_of_job on task (job_id, role, party, task_name, version);
create index task_created on task (create_time, execution_id);
create index task_log on task (log_digest) where log_digest <> '';

create table data_table (
  namespace    text not null,
  name         text not null,
  object       text not null,
  bytes        bigint not null,
  row_count    bigint not null,
  data_type    text not null,
  intermediate boolean not null,
  create_time  bigint not null,
  update_time  bigint not null,
  uri          text not null,
  source       text not null,
  header       text not null,
  meta         text not null,
  samples      text not null,
  primary key (namespace, name)
);
create index data_table_object on data_table (object) where object <> '';

create table output (
  execution_id text not null,
  output_key   text not null,
  position     bigint not null,
  namespace    text not null,
  name         text not null,
  data_type    text not null,
  create_time  bigint not null,
  uri          text not null,
  primary key (execution_id, output_key, position)
);
create index output_of_table on output (namespace, name);

create table model (
  model_id    text not null,
  version     text not null,
  role        text not null,
  party       text not null,
  task_name   text not null,
  output_key  text not null,
  job_id      text not null,
  type_name   text not null,
  object      text not null,
  bytes       bigint not null,
  create_time bigint not null,
  update_time bigint not null,
  meta        text not null,
  primary key (model_id, version, role, party, task_name, output_key)
);
create index model_object on model (object) where object <> '';

create table metric (
  execution_id text not null,
  digest       text not null,
  seq          bigint not null,
  name         text not null,
  type         text not null,
  step_axis    text not null,
  create_time  bigint not null,
  groups_json  text not null,
  data         text not null,
  primary key (execution_id, digest)
);
create index metric_of_task on metric (execution_id, seq);

create table site (
  party    text primary key,
  url      text not null,
  dialect  text not null,
  added_at bigint not null,
  keys     text not null
);

create table access_grant (
  party     text not null,
  kind      text not null,
  namespace text not null,
  name      text not null,
  primary key (party, kind, namespace, name)
);

create table audit (
  id      text primary key,
  time    bigint not null,
  actor   text not null,
  action  text not null,
  subject text not null,
  detail  text not null
);
create index audit_time on audit (time, id);
