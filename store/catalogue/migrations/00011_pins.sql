-- What a job reads from the warehouses, as it was when the job was created: the object behind a name, which stays as long as
-- the row of the job, whatever becomes of the name.

-- +goose Up
create table pin (
  scheduler     text not null,
  job_id        text not null,
  role          text not null,
  party         text not null,
  task_name     text not null,
  kind          text not null,
  input_key     text not null,
  position      bigint not null,
  namespace     text not null,
  name          text not null,
  source_job    text not null,
  model_id      text not null,
  model_version text not null,
  producer      text not null,
  output_key    text not null,
  object        text not null,
  bytes         bigint not null,
  row_count     bigint not null,
  data_type     text not null,
  meta          text not null,
  origins       text not null,
  primary key (job_id, role, party, scheduler, task_name, kind, input_key, position)
);
create index pin_object on pin (object) where object <> '';
