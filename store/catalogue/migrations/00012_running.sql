-- What runs is looked after every few seconds, among however many jobs that have ended.

-- +goose Up
create index job_running on job (create_time, job_id, role, party, scheduler) where status = 'running';
create index scheduled_job_running on scheduled_job (create_time, job_id) where status = 'running';
