-- Schedulers make job IDs, and two of them may make the same one: what is found by a job ID is theirs apart.

-- +goose Up
alter table model rename to model_of_any;
drop index model_object;
create table model (
  model_id    text not null,
  version     text not null,
  role        text not null,
  party       text not null,
  task_name   text not null,
  output_key  text not null,
  scheduler   text not null,
  job_id      text not null,
  type_name   text not null,
  object      text not null,
  bytes       bigint not null,
  create_time bigint not null,
  update_time bigint not null,
  meta        text not null,
  primary key (model_id, version, role, party, task_name, output_key, scheduler)
);
insert into model (model_id, version, role, party, task_name, output_key, scheduler, job_id, type_name, object, bytes,
  create_time, update_time, meta)
  select model_id, version, role, party, task_name, output_key,
    coalesce((select min(job.scheduler) from job where job.job_id = model_of_any.job_id), ''), job_id, type_name, object,
    bytes, create_time, update_time, meta from model_of_any;
drop table model_of_any;
create index model_object on model (object) where object <> '';

alter table submission rename to submission_of_any;
drop index submission_created;
create table submission (
  job_id      text not null,
  scheduler   text not null,
  create_time bigint not null,
  primary key (job_id, scheduler)
);
insert into submission (job_id, scheduler, create_time) select job_id, scheduler, create_time from submission_of_any;
drop table submission_of_any;
create index submission_created on submission (create_time);

-- The ID of a run names its scheduler.
update output set execution_id = (select job_id || '_' || task_name || '_' || version || '@' || scheduler || '@' || role || '_' || party
  from task where task.execution_id = output.execution_id)
  where execution_id in (select execution_id from task);
update metric set execution_id = (select job_id || '_' || task_name || '_' || version || '@' || scheduler || '@' || role || '_' || party
  from task where task.execution_id = metric.execution_id)
  where execution_id in (select execution_id from task);
update score set execution_id = (select job_id || '_' || task_name || '_' || version || '@' || scheduler || '@' || role || '_' || party
  from task where task.execution_id = score.execution_id)
  where execution_id in (select execution_id from task);
update task set execution_id = job_id || '_' || task_name || '_' || version || '@' || scheduler || '@' || role || '_' || party;
