-- Memory and GPUs beside cores: in the site's pool, of a job, of a task, with the devices that a task was given. And the
-- queue of the jobs that wait for them: in which order, since when, when they last asked and were last told to come.

-- +goose Up
insert into pool (name, used) values ('memory', 0), ('gpus', 0);

alter table job add column priority bigint not null default 0;
alter table job add column memory bigint not null default 0;
alter table job add column remaining_memory bigint not null default 0;
alter table job add column gpus bigint not null default 0;
alter table job add column remaining_gpus bigint not null default 0;
alter table job add column asked bigint not null default 0;
alter table job add column woken bigint not null default 0;

alter table task add column memory bigint not null default 0;
alter table task add column gpus bigint not null default 0;
alter table task add column gpu_ids text not null default '';

-- The queue, in both of its orders, and who has been told; each answers by itself, without the rows and their DAGs.
create index job_queue on job (priority desc, job_id, scheduler, role, party, cores, memory, gpus, waiting_since, asked, woken)
  where waiting_since > 0 and end_time = 0;
create index job_queue_age on job (job_id, scheduler, role, party, priority, cores, memory, gpus, waiting_since, asked, woken)
  where waiting_since > 0 and end_time = 0;
create index job_told on job (woken) where woken > 0;
create index task_gpus on task (gpu_ids) where gpus > 0 and resource_in_use;
