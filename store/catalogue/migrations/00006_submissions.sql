-- Which party schedules a job that was submitted here and is scheduled elsewhere: a site that runs no task of it has no
-- other row of the job.

-- +goose Up
create table submission (
  job_id      text primary key,
  scheduler   text not null,
  create_time bigint not null
);
create index submission_created on submission (create_time);
