-- How a scheduled job's tasks stood when it ended: what a rerun keeps and what it does again.

-- +goose Up
alter table scheduled_job add column tasks text not null default '';
